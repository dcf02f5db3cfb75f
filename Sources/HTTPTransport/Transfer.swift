import BackupTypes
import SystemIO

/// What libcurl's callbacks collect during one request. Used only on the thread that performs the request, on
/// which the callbacks run, too.
final class Transfer {
  enum Abort { case cancelled, firstByteTimedOut, stalled, bodyTooLarge, headersTooLarge }

  /// S3 sends about 1 KiB; servers accept 8 KiB for a single field.
  private static let headerBytesMax = 128 << 10

  private let cancellation: Cancellation
  private let bodyBytesMax: Int
  private var watch: TransferWatch
  private var headerBytes = 0

  private(set) var headers = HTTPHeaders()
  private(set) var isHTTP1 = true
  private(set) var body: [UInt8] = []
  /// Why a callback ended the transfer; nil when libcurl did.
  private(set) var abort: Abort?
  /// Whether the request may have reached the server.
  private(set) var wasConnected = false

  init(_ request: HTTPRequest, limits: HTTPLimits, cancellation: Cancellation) {
    self.cancellation = cancellation
    bodyBytesMax = request.responseBytesMax
    watch = TransferWatch(limits: limits, bodyBytes: request.body.count)
  }

  /// The connection is up. Returns whether to continue.
  func connected() -> Bool {
    wasConnected = true
    watch.connected(at: SystemClock.monotonicMilliseconds())
    return !stopIfCancelled()
  }

  /// - Parameter sent: bytes of the request's body.
  func progress(sent: Int64) -> Bool {
    if stopIfCancelled() { return false }
    let received = Int64(headerBytes + body.count)
    switch watch.observe(
      at: SystemClock.monotonicMilliseconds(), sent: sent, received: received)
    {
    case .goOn: return true
    case .firstByteTimedOut: abort = .firstByteTimedOut
    case .stalled: abort = .stalled
    }
    return false
  }

  /// One line of a head, with its line end.
  func header(_ line: UnsafeRawBufferPointer) -> Bool {
    if stopIfCancelled() { return false }
    headerBytes += line.count
    guard headerBytes <= Transfer.headerBytesMax else {
      abort = .headersTooLarge
      return false
    }
    let text = String(decoding: line, as: UTF8.self)
    if text.hasPrefix("HTTP/") {
      // Also after `100 Continue`, and again when a dead connection made libcurl send once more.
      headers = HTTPHeaders()
      isHTTP1 = text.hasPrefix("HTTP/1")
      body.removeAll(keepingCapacity: true)
    } else if let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) {
      let value = text[text.index(after: colon)...]
      headers.append(String(text[..<colon]), trimmed(value))
      if HTTPHeaders.isSame(String(text[..<colon]), "content-length"),
        let length = Int(trimmed(value)),
        length > 0
      {
        body.reserveCapacity(bulkCapacity(min(length, bodyBytesMax)))
      }
    }
    return true
  }

  func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
    if stopIfCancelled() { return false }
    guard body.count + bytes.count <= bodyBytesMax else {
      abort = .bodyTooLarge
      return false
    }
    body.append(contentsOf: bytes)
    return true
  }

  private func stopIfCancelled() -> Bool {
    guard cancellation.isCancelled else { return false }
    abort = .cancelled
    return true
  }

  private func trimmed(_ text: Substring) -> String {
    let isSpace: (Character) -> Bool = { " \t\r\n\r\n".contains($0) }
    var text = text.drop(while: isSpace)
    while let last = text.last, isSpace(last) { text.removeLast() }
    return String(text)
  }
}
