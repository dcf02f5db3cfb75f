import BackupFormat
import BackupTypes
import Shipping
import Synchronization
import SystemIO
import WriterLogic

/// A full copy that a server sends, as the shipper sees it: a file that can be read once, from its beginning.
/// It is requested from the server when the first byte is read.
///
/// It holds a bounded number of bytes in memory, and what comes after them in a spool if there is one. When it is
/// full, the receiver waits, and so does the child process of the server that writes the copy.
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
    /// In memory.
    var chunks: [[UInt8]] = []
    var buffered = 0
    /// After them, in the spool: positions in the copy.
    var spooled: Range<UInt64> = 0..<0
    /// After both: what the spool did not take. Nothing goes there any more then.
    var rest: [UInt8]?
    var spool: (any CopyStorage)?
    var isEmpty: Bool { chunks.isEmpty && spooled.isEmpty && rest == nil }
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
    let (taken, spool, isEnd, failure) = state.withLock {
      state -> ([UInt8], ((any CopyStorage), Range<UInt64>)?, Bool, LifeboatError?) in
      switch state.stage {
      case .stored:
        state.isLost = true
        return ([], nil, false, LinkBase.isGone(name))
      case .failed(let error): return ([], nil, false, error)
      case .unread: state.stage = .wanted
      case .wanted, .receiving, .whole: break
      }
      guard offset == state.consumed else {
        state.isLost = true
        return ([], nil, false, LinkBase.isGone(name))
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
      if case .whole = state.stage { isEnd = state.isEmpty }
      guard state.chunks.isEmpty, let spool = state.spool, taken.count < most else {
        return (taken, nil, isEnd, nil)
      }
      let start = state.spooled.lowerBound
      let end = min(start + UInt64(most - taken.count), state.spooled.upperBound)
      return (taken, (spool, start..<end), isEnd, nil)
    }
    if let failure { throw failure }
    bytes += taken
    guard let (spool, range) = spool, !range.isEmpty else { return isEnd }
    return try take(range, of: spool, &bytes)
  }

  private func take(_ range: Range<UInt64>, of spool: any CopyStorage, _ bytes: inout [UInt8])
    throws(LifeboatError) -> Bool
  {
    do throws(LifeboatError) {
      bytes += try spool.read(range.count, at: range.lowerBound)
    } catch {
      state.withLock { $0.isLost = true }
      throw error
    }
    return state.withLock { state in
      state.consumed += UInt64(range.count)
      state.spooled = range.upperBound..<state.spooled.upperBound
      if state.spooled.isEmpty, let rest = state.rest {
        state.chunks.append(rest)
        state.buffered += rest.count
        (state.rest, state.spool) = (nil, nil)
      }
      if case .whole = state.stage { return state.isEmpty }
      return false
    }
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
          guard state.isEmpty, !isOver, !Task.isCancelled else { return true }
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
      hint: "Lifeboat requests another full copy", isRetryable: true)
  }

  // MARK: The receiver

  func begin(_ spool: (any CopyStorage)?) {
    state.withLock { ($0.stage, $0.spool) = (.receiving, spool) }
  }

  /// - Throws: nothing is lost: the spool did not take the bytes. They are kept, and no others are spooled.
  func append(_ bytes: [UInt8]) throws(LifeboatError) {
    defer { resume() }
    let place = state.withLock { state -> ((any CopyStorage), UInt64)? in
      defer { state.size += UInt64(bytes.count) }
      if let rest = state.rest {
        state.rest = rest + bytes
        return nil
      }
      if let spool = state.spool,
        !state.spooled.isEmpty || state.buffered >= LinkBase.bufferBytes
      {
        if state.spooled.isEmpty { state.spooled = state.size..<state.size }
        return (spool, state.size)
      }
      state.chunks.append(bytes)
      state.buffered += bytes.count
      return nil
    }
    guard let (spool, position) = place else { return }
    do throws(LifeboatError) {
      try spool.write(bytes, at: position)
    } catch {
      state.withLock { state in
        if state.spooled.isEmpty {
          state.chunks.append(bytes)
          state.buffered += bytes.count
          state.spool = nil
        } else {
          state.rest = bytes
        }
      }
      throw error
    }
    state.withLock { state in
      guard state.spool != nil else { return }
      // The reader may have moved the beginning, and no further than to `position`.
      state.spooled = state.spooled.lowerBound..<(position + UInt64(bytes.count))
    }
  }
  /// Whether no more bytes can be taken now.
  var isFull: Bool {
    state.withLock { state in
      guard let spool = state.spool else { return state.buffered >= LinkBase.bufferBytes }
      return state.rest != nil
        || UInt64(state.spooled.count) + UInt64(LinkBase.bufferBytes) > spool.bytesMax
    }
  }

  func end() {
    state.withLock { $0.stage = .whole }
    resume()
  }

  func fail(_ error: LifeboatError) {
    state.withLock { state in
      state.stage = .failed(error)
      (state.chunks, state.buffered) = ([], 0)
      (state.spooled, state.rest, state.spool) = (0..<0, nil, nil)
    }
    resume()
  }
}
