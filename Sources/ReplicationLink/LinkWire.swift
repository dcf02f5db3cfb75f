import BackupTypes
import HTTPTransport
import SystemIO

/// A connection that has become that of a replica.
struct LinkWire {
  /// What a primary answers to PSYNC.
  enum Answer {
    /// A full copy follows, and then the history `id` after `offset`.
    case full(id: String, offset: UInt64)
    /// The history continues, perhaps under another id.
    case continues(id: String?)
  }

  static let sendTimeout = 10_000
  private static let lineMax = 1024
  private static let chunkBytes = 256 << 10

  let connection: LinkConnection
  private let time: any TimeSource
  /// Whether the server understands `FACK`, by which a replica says how far it has written to disk, for
  /// WAITAOF.
  private let hasFACK: Bool
  private var buffer = [UInt8](repeating: 0, count: LinkWire.chunkBytes)
  /// Bytes that arrived with the last reply, before the first read.
  private var received: ArraySlice<UInt8>
  private var heardAt: Int64

  init(
    _ connection: LinkConnection, received: [UInt8], hasFACK: Bool, time: any TimeSource
  ) {
    self.connection = connection
    self.received = received[...]
    self.hasFACK = hasFACK
    self.time = time
    heardAt = time.monotonic
  }

  func send(_ words: [String]) throws(LifeboatError) {
    var bytes = Array("*\(words.count)\r\n".utf8)
    for word in words { bytes += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8) }
    try connection.send(bytes, timeoutMilliseconds: LinkWire.sendTimeout)
  }

  /// - Parameter offset: the history is durable up to there. 0 means that nothing is, and only shows that we
  ///   are alive.
  func acknowledge(_ offset: UInt64) throws(LifeboatError) {
    let fact = hasFACK ? ["FACK", String(offset)] : []
    try send(["REPLCONF", "ACK", String(offset)] + fact)
  }

  /// Waits for bytes. Empty if the time is over, or if the connection was woken.
  mutating func receive(waiting milliseconds: Int64) throws(LifeboatError) -> ArraySlice<UInt8> {
    if !self.received.isEmpty {
      defer { self.received = [] }
      return self.received
    }
    let connection = connection
    let wait = Int32(clamping: milliseconds)
    let received = try buffer.withUnsafeMutableBytes { bytes in
      Result { () throws(LifeboatError) in
        try connection.receive(into: bytes, waitingMilliseconds: wait)
      }
    }.get()
    let now = time.monotonic
    switch received {
    case .bytes(let count):
      heardAt = now
      return buffer[..<count]
    case .nothing:
      guard now - heardAt < LinkReceiver.silenceMax else {
        throw LifeboatError(
          .failure, "\(connection.address) sent nothing for a minute",
          isRetryable: true)
      }
      return []
    case .closed:
      throw LifeboatError(
        .failure, "\(connection.address) closed the replication link",
        hint: "the server's log says why", isRetryable: true)
    }
  }

  /// The answer to PSYNC. A primary sends line ends until it can answer.
  mutating func answer(isStopped: () -> Bool) throws(LifeboatError) -> Answer {
    var line: [UInt8] = []
    while true {
      // Reads one byte at a time, because the bytes after the line are read elsewhere.
      let byte = try receiveByte()
      guard let byte else {
        if isStopped() {
          throw LifeboatError(.failure, "the link was closed", isRetryable: true)
        }
        continue
      }
      if byte != UInt8(ascii: "\n") {
        line.append(byte)
        guard line.count <= LinkWire.lineMax else { break }
      } else if !line.isEmpty, line != [UInt8(ascii: "\r")] {
        break
      } else {
        line = []
      }
    }
    return try LinkWire.parse(line, from: connection.address)
  }

  private mutating func receiveByte() throws(LifeboatError) -> UInt8? {
    if let byte = self.received.popFirst() { return byte }
    var byte: UInt8 = 0
    let received = try withUnsafeMutableBytes(of: &byte) {
      bytes throws(LifeboatError) -> LinkConnection.Received in
      return try connection.receive(into: bytes, waitingMilliseconds: 1000)
    }
    switch received {
    case .bytes:
      heardAt = time.monotonic
      return byte
    case .nothing:
      guard time.monotonic - heardAt < LinkReceiver.silenceMax else {
        throw LifeboatError(
          .failure, "\(connection.address) does not answer PSYNC", isRetryable: true)
      }
      return nil
    case .closed:
      throw LifeboatError(
        .failure, "\(connection.address) closed the connection after PSYNC",
        hint: "the server's log says why", isRetryable: true)
    }
  }

  /// The largest replication offset. A server counts in 63 bits, and needs many years for half of them. With
  /// this bound, no sum of an offset and the size of a file overflows.
  static let offsetMax: UInt64 = 1 << 62

  static func parse(_ line: [UInt8], from address: LinkAddress) throws(LifeboatError) -> Answer {
    let text = String(decoding: line, as: UTF8.self).filter { !$0.isNewline }
    let words = text.split(separator: " ").map(String.init)
    switch words.first {
    case "+FULLRESYNC":
      if words.count >= 3, isID(words[1]), let offset = UInt64(words[2]), offset <= offsetMax {
        return .full(id: words[1], offset: offset)
      }
    case "+CONTINUE":
      let id = words.count > 1 ? words[1] : nil
      if id.map(isID) ?? true { return .continues(id: id) }
    case "-NOMASTERLINK", "-LOADING", "-MASTERDOWN":
      throw LifeboatError(
        .failure, "\(address) is not ready", cause: printable(text), isRetryable: true)
    case "-NOAUTH", "-NOPERM", "-WRONGPASS":
      throw LifeboatError(
        .failure, "\(address) does not allow replication", cause: printable(text),
        hint: "the user needs +psync +replconf +info", isRetryable: true)
    default: break
    }
    throw LifeboatError(
      .failure, "\(address) sent an unknown reply to PSYNC",
      cause: printable(String(text.prefix(200))),
      isRetryable: true)
  }

  private static func isID(_ text: String) -> Bool {
    text.utf8.count == 40
      && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }
}
