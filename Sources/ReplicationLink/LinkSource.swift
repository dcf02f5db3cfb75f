import BackupFormat
package import BackupTypes
package import HistoryLogic
package import Logging
import RedisFormats
package import RepositoryAccess
package import Shipping
import Synchronization
package import SystemIO
package import SystemPackage
package import WriterLogic

/// A server's replication link as a source: its full copy is the BASE of an AOF set, and its stream is the
/// INCR file after it.
package final class LinkSource: Source {
  package struct Options: Sendable {
    package var heldBytes: Int
    /// A new full copy is taken when the log since the last one reaches this percentage of its size,
    package var baseRatio: UInt64
    /// and this number of bytes.
    package var baseMin: UInt64
    /// The directory for full copies that come faster than the store takes them.
    package var spool: FilePath?
    package init(heldBytes: Int, baseRatio: UInt64, baseMin: UInt64, spool: FilePath?) {
      self.heldBytes = heldBytes
      self.baseRatio = baseRatio
      self.baseMin = baseMin
      self.spool = spool
    }
  }

  private let server: LinkServer
  private let options: Options
  private let time: any TimeSource
  private let logger: Logger
  /// Reads what the repository has. Called before the server is contacted.
  private let recall: @Sendable () async throws -> LinkMemory?
  private let shared: LinkState
  private var receiver: LinkReceiver?

  package init(
    _ server: LinkServer, options: Options, state: LinkState, time: any TimeSource,
    logger: Logger, recall: @escaping @Sendable () async throws -> LinkMemory?
  ) {
    self.server = server
    self.options = options
    self.time = time
    self.logger = logger
    self.recall = recall
    shared = state
  }

  deinit { receiver?.stop() }

  package var hasFiles: Bool { false }

  // MARK: Looking

  package func look() async throws(LifeboatError) -> CaptureView {
    if let line = receiver?.line, isStale(line) { close() }
    if receiver == nil { try await begin() }
    guard let receiver else { throw LinkSource.isConnecting(server.url) }
    // Waits for the first result. Later ones are reported as changes.
    let deadline = time.monotonic + LinkSource.firstWait
    while true {
      switch receiver.status {
      case .ready:
        if let line = receiver.line { return try view(of: line) }
      case .down(let error, let since):
        // The received data is shipped even while the link is down. A short interruption changes nothing.
        guard let line = receiver.line, line.isContinued || line.base.isComplete,
          line.hasUnshipped || time.monotonic - since < LinkSource.interruptionMax
        else { throw error }
        return try view(of: line)
      case .connecting: break
      }
      guard time.monotonic < deadline else { throw LinkSource.isConnecting(server.url) }
      do { try await time.sleep(milliseconds: 20) } catch {
        throw LinkSource.isConnecting(server.url)
      }
    }
  }

  private func view(of line: LinkLine) throws(LifeboatError) -> CaptureView {
    let view = line.view(at: time.wall)
    // Whoever ships the bytes that were cut off has to compare again.
    guard !line.takeBreak() else {
      throw LifeboatError(
        .failure, "\(server.url) continues its history from an earlier state", isRetryable: true)
    }
    return view
  }

  private static let firstWait: Int64 = 12_000
  /// If the link is down for longer than this, in milliseconds, that is reported with its reason.
  private static let interruptionMax: Int64 = 10_000

  private static func isConnecting(_ url: LinkURL) -> LifeboatError {
    LifeboatError(.failure, "there is no connection to \(url) yet", isRetryable: true)
  }

  /// Whether the held history no longer matches the server or the repository. If so, it begins again with the
  /// history in the repository.
  private func isStale(_ line: LinkLine) -> Bool {
    line.isStale || line.base.isLost && !line.isRestorable
  }

  private func close() {
    receiver?.stop()
    receiver = nil
    shared.set(line: nil)
  }

  private func begin() async throws(LifeboatError) {
    let memory: LinkMemory?
    do { memory = try await recall() } catch let error as LifeboatError { throw error } catch {
      throw LifeboatError(
        .failure, "the repository can't be read", cause: "\(error)", isRetryable: true)
    }
    let bell = WaitPoint()
    let limits = LinkLine.Limits(heldMax: options.heldBytes)
    let line = memory.map { self.line($0, bell, limits) }
    shared.set(line: line)
    let (shared, time) = (shared, time)
    let renewal = LinkRenewal(
      .init(ratio: options.baseRatio, least: options.baseMin),
      make: { offset, estimate, bell in
        LinkSource.copy(shared, bell, estimate: estimate, after: offset, now: time.wall)
      })
    receiver = try LinkReceiver(
      server, spool: options.spool, line: line, bell: bell, renewal: renewal, time: time,
      logger: logger, shared: shared,
      makeLine: { info, reason in
        let line = LinkSource.line(info, because: reason, shared, bell, limits, now: time.wall)
        shared.set(line: line)
        return line
      })
    shared.set(receiver: receiver)
  }

  /// The history that the repository holds.
  private func line(_ memory: LinkMemory, _ bell: WaitPoint, _ limits: LinkLine.Limits) -> LinkLine
  {
    let base = LinkBase(
      PinnedFile(
        pin: shared.nextPin(), name: memory.base.file, size: 1, modified: FileMoment(time.wall),
        born: nil, identity: shared.nextIdentity()),
      sequence: memory.base.sequence, name: memory.base.generation.fingerprint,
      stored: memory.baseSize, receiver: bell)
    var parts: [LinkLine.Part] = []
    var end = memory.link.offset
    for (index, entry) in memory.files.enumerated().reversed() {
      let isLast = index == memory.files.count - 1
      let start = isLast ? memory.link.offset : end - entry.size
      parts.append(
        LinkLine.Part(
          pin: shared.nextPin(), name: entry.file.file, sequence: entry.file.sequence,
          identity: entry.file.identity ?? shared.nextIdentity(), start: start,
          end: isLast ? nil : start + entry.size))
      end = start
    }
    shared.use(number: max(memory.base.sequence, memory.files.last?.file.sequence ?? 0))
    return LinkLine(
      continuing: memory.link.id, base: base, parts: parts.reversed(), durable: memory.offset,
      timelines: memory.timelines, limits: limits, now: time.wall)
  }

  /// A history that begins with a full copy.
  private static func line(
    _ info: ReplicationInfo, because reason: String, _ shared: LinkState, _ bell: WaitPoint,
    _ limits: LinkLine.Limits,
    now: Instant
  ) -> LinkLine {
    let (base, first) = copy(shared, bell, estimate: info.usedMemory ?? 1, after: 0, now: now)
    return LinkLine(
      base: base, first: first, because: reason, runID: info.runID, keys: info.keys,
      hadData: info.hasData ?? true,
      limits: limits,
      now: now)
  }

  /// The file of a full copy that is to come, and the part of the stream after it.
  private static func copy(
    _ shared: LinkState, _ bell: WaitPoint, estimate: UInt64, after offset: UInt64, now: Instant
  ) -> (LinkBase, LinkLine.Part) {
    let number = shared.nextNumber()
    let base = LinkBase(
      PinnedFile(
        pin: shared.nextPin(), name: LinkNames.base(number), size: max(1, estimate),
        modified: FileMoment(now), born: nil, identity: shared.nextIdentity()),
      sequence: number, name: shared.nextName(), stored: nil, receiver: bell)
    let part = LinkLine.Part(
      pin: shared.nextPin(), name: LinkNames.log(number), sequence: number,
      identity: shared.nextIdentity(), start: offset)
    return (base, part)
  }

  // MARK: Files

  package func file(_ pin: PinID) -> (any SourceFile)? {
    guard let line = receiver?.line else { return nil }
    if let base = line.base(pin) { return base }
    return line.part(pin).map { LinkLog(part: $0, line: line) }
  }

  package func release(except pins: Set<PinID>) {
    // Nothing is being shipped, so nobody would read a newer full copy.
    guard pins.isEmpty else { return }
    receiver?.line?.abandonNext()
    _ = receiver?.line?.takeBreak()
  }
  package func unlinkedBytes() -> [PinID: UInt64] { [:] }
  package func savesInProgress() -> String { "" }

  // MARK: Facts

  package func origin() -> SourceOrigin {
    // The name is the same wherever this process runs, so that another process can continue after a clean
    // end.
    let name = "link:\(server.url.placeName)"
    return SourceOrigin(
      directory: name, place: Claim.Place(boot: nil, device: nil, volume: shared.placeName(name)),
      isStable: true)
  }
  package func receipt() -> Marker? { nil }
  package func isEmpty() -> Bool { receiver?.line?.isEmpty ?? true }

  package func knows(_ need: Need, _ history: History) throws(LifeboatError) -> Fact? {
    guard let line = receiver?.line else { throw LinkSource.isConnecting(server.url) }
    switch need {
    case .receipt: return .receipt(nil)
    case .isEmpty: return .answer(line.isEmpty)
    case .fingerprint(let pin, _):
      line.compared()
      return line.base(pin)?.streamed.map { .fingerprint($0) }
    case .copy: return .copy(keys: line.keys, contentAt: nil)
    case .agreement(let pin, let size, let range):
      guard let part = line.part(pin) else { return nil }
      let spans = history.log(
        of: range.timeline, ordinal: range.ordinal, from: range.from, limit: range.limit
      ).spans
      return .offset(try line.agreement(part, size: size, with: Array(spans), in: range))
    case .shared(let pin, let size, let range, let span):
      guard let part = line.part(pin) else { return nil }
      return try line.shared(part, size: size, with: span, in: range).map { .offset($0) }
    case .boundary(let pin, let from, let to):
      guard let part = line.part(pin), !line.holds(from: part.start + from, to: part.start + to)
      else { return nil }
      return .offset(to)
    case .content(_, let to): return .answer(to > 0)
    case .keys(let pin, let to):
      guard let part = line.part(pin), !line.holds(from: part.start, to: part.start + to) else {
        return nil
      }
      // The earlier log is not in memory any more, but the server has said how many keys it has.
      let keys = line.keys
      return keys == .unknown
        ? .keys(nil, isWhole: false) : .keys(KeySample(known: keys), isWhole: true)
    default: return nil
    }
  }

  package func confirm(_ log: RestorableLog, in timeline: TimelineNumber) {
    guard let receiver, let line = receiver.line else { return }
    let before = line.acknowledged
    line.confirm(log, in: timeline)
    if line.isRestorable { shared.noteRestorable(now: time.monotonic) }
    if line.acknowledged != before { receiver.wake() }
  }

  package func freeze() { receiver?.line?.freeze(from: time.monotonic + LinkSource.freezesAfter) }
  /// By this time, the data that the server had at the stop request has arrived. Milliseconds.
  private static let freezesAfter: Int64 = 300

  package func watch(_ logger: Logger, onChange: @escaping @Sendable () -> Void) -> any SourceWatch
  {
    LinkWatch(shared, onChange)
  }
}

/// Wakes the shipper when the link has news.
struct LinkWatch: SourceWatch {
  private let state: LinkState
  init(_ state: LinkState, _ onChange: @escaping @Sendable () -> Void) {
    self.state = state
    state.listen(onChange)
  }
  var isWorking: Bool { true }
  func rearm() { state.arm(isForData: true) }
  func rearmForNames() { state.arm(isForData: false) }
  func stop() { state.listen(nil) }
}
