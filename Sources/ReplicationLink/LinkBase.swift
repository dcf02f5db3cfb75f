import BackupFormat
import BackupTypes
import Shipping
import Synchronization
import SystemIO
import WriterLogic

/// A full copy that a server sends, as the shipper sees it: a file that can be read once, from its beginning.
/// It is requested from the server when the first byte is read.
///
/// It holds a bounded number of bytes. When it is full, the receiver waits, and so does the child process of the
/// server that writes the copy.
final class LinkBase: SourceFile, Sendable {
  enum Stage: Sendable {
    /// The repository has it.
    case stored
    /// Nobody has read it yet.
    case unread
    case wanted
    case receiving
    case whole
    case failed(LifeboatError)
  }
  private struct State {
    var stage: Stage
    var chunks: [[UInt8]] = []
    var buffered = 0
    var consumed: UInt64 = 0
    var size: UInt64
    var waiting: CheckedContinuation<Void, Never>?
    /// Whether somebody tried to read bytes of it that are not held any more.
    var isLost = false
  }

  static let bufferBytes = 1 << 20

  let file: PinnedFile
  let sequence: Int64
  let streamed: ShortDigest?
  private let state: Mutex<State>
  /// Signalled when there is room again, or when the first byte is read.
  private let receiver: any Bell

  /// - Parameters:
  ///   - stored: its size in the repository, under the fingerprint `name`. Nil if it is not there yet.
  init(
    _ file: PinnedFile, sequence: Int64, name: ShortDigest, stored: UInt64?, receiver: any Bell
  ) {
    self.file = file
    self.sequence = sequence
    streamed = name
    state = Mutex(State(stage: stored == nil ? .unread : .stored, size: stored ?? 0))
    self.receiver = receiver
  }

  var name: String { file.name }
  func version() -> FileVersion { file.version }
  func adviseSequential() {}
  func dropCache(upTo end: UInt64) {}

  var stage: Stage { state.withLock { $0.stage } }
  var isWanted: Bool { if case .wanted = stage { true } else { false } }
  var isUnread: Bool { if case .unread = stage { true } else { false } }
  /// Whether all of it was received, or the repository has it.
  var isComplete: Bool {
    switch stage {
    case .whole, .stored: true
    default: false
    }
  }
  /// How many bytes of it were received, or its size in the repository.
  var size: UInt64 { state.withLock { $0.size } }
  /// Whether it can't be read any more.
  var isLost: Bool {
    state.withLock { state in
      if case .failed = state.stage { return true }
      return state.isLost
    }
  }

  // MARK: The shipper

  /// Reads the bytes [from, to), in the order in which they arrive. Fewer only at the end.
  func read(from: UInt64, to: UInt64) async throws(LifeboatError) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Int(to - from))
    while UInt64(bytes.count) < to - from {
      let before = bytes.count
      let isEnd = try take(&bytes, at: from + UInt64(before), most: Int(to - from) - before)
      if isEnd { return bytes }
      receiver.signal()
      if bytes.count == before { try await wait() }
    }
    return bytes
  }

  /// Takes the bytes that have arrived. Returns whether this is the end.
  private func take(_ bytes: inout [UInt8], at offset: UInt64, most: Int) throws(LifeboatError)
    -> Bool
  {
    let (taken, isEnd, failure) = state.withLock { state -> ([UInt8], Bool, LifeboatError?) in
      switch state.stage {
      case .stored:
        state.isLost = true
        return ([], false, LinkBase.isGone(name))
      case .failed(let error): return ([], false, error)
      case .unread: state.stage = .wanted
      case .wanted, .receiving, .whole: break
      }
      guard offset == state.consumed else {
        state.isLost = true
        return ([], false, LinkBase.isGone(name))
      }
      var taken: [UInt8] = []
      while taken.count < most, let chunk = state.chunks.first {
        let count = min(most - taken.count, chunk.count)
        taken += chunk.prefix(count)
        if count == chunk.count {
          state.chunks.removeFirst()
        } else {
          state.chunks[0].removeFirst(count)
        }
      }
      state.buffered -= taken.count
      state.consumed += UInt64(taken.count)
      var isEnd = false
      if case .whole = state.stage { isEnd = state.chunks.isEmpty }
      return (taken, isEnd, nil)
    }
    if let failure { throw failure }
    bytes += taken
    return isEnd
  }

  private func wait() async throws(LifeboatError) {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isReady = state.withLock { state -> Bool in
          let isOver =
            switch state.stage {
            case .whole, .failed: true
            default: false
            }
          guard state.chunks.isEmpty, !isOver, !Task.isCancelled else { return true }
          state.waiting = continuation
          return false
        }
        if isReady { continuation.resume() }
      }
    } onCancel: {
      resume()
    }
    if Task.isCancelled {
      throw LifeboatError(.failure, "reading \(name) was cancelled", isRetryable: true)
    }
  }

  private func resume() {
    state.withLock { state -> CheckedContinuation<Void, Never>? in
      defer { state.waiting = nil }
      return state.waiting
    }?.resume()
  }

  private static func isGone(_ name: String) -> LifeboatError {
    LifeboatError(
      .failure, "\(name) can't be read again: it came over the replication link",
      hint: "the server is asked for another full copy", isRetryable: true)
  }

  // MARK: The receiver

  func begin() { state.withLock { $0.stage = .receiving } }

  func append(_ bytes: [UInt8]) {
    state.withLock { state in
      state.chunks.append(bytes)
      state.buffered += bytes.count
      state.size += UInt64(bytes.count)
    }
    resume()
  }
  /// Whether no more bytes can be taken now.
  var isFull: Bool { state.withLock { $0.buffered >= LinkBase.bufferBytes } }

  func end() {
    state.withLock { $0.stage = .whole }
    resume()
  }

  func fail(_ error: LifeboatError) {
    state.withLock { state in
      state.stage = .failed(error)
      state.chunks = []
      state.buffered = 0
    }
    resume()
  }
}
