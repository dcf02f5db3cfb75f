package import BackupFormat
package import BackupTypes
package import ObjectStorage
import RedisFormats
import Synchronization
package import SystemIO
package import SystemPackage

/// Checks again and again whether everything on disk is durable. It reads the data directory by its path,
/// and the repository by its replies. Every verdict that all is well comes from here.
///
/// It shares nothing with the shipping path but `Acknowledgements`. What the shipping path believes (its
/// plan, its open files, its events) has no part in a verdict, so any fault there shows up as lag here.
package final class Auditor: Sendable {
  package struct Options: Sendable {
    package var audit = Audit.Options()
    /// Time between two looks at the data directory, in milliseconds.
    package var lookInterval: Int64 = 5000
    /// While Redis writes: time between two looks at our own claim, and at the log.
    package var claimInterval: Int64 = 60_000
    package var logInterval: Int64 = 600_000
    /// Also while Redis is idle: time between two probes of the repository; nil: no probes.
    package var probeInterval: Int64? = 3_600_000
    package init() {}
  }

  private let data: String
  let options: Options
  let time: any TimeSource
  let acknowledged: Acknowledgements
  /// Held while files are examined, which can take long on a network file system.
  private let source: Mutex<any AuditedSource>
  private let audit: Mutex<Audit>
  private let tail = Mutex<String?>(nil)
  let repository = Mutex(RepositoryState())
  /// One tick for each look at the source that nobody has handled yet. Ticks do not queue up, so an idle
  /// process is not woken more often.
  let ticks = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
  struct RepositoryState: Sendable {
    var store: (any ObjectStore)?
    var frame: Frame?
    var damaged: Set<ObjectPath> = []
    var lastLook: Instant?
    /// How often its log was requested, and up to which time it was answered.
    var asked: UInt64 = 0
    var answered: UInt64 = 0
  }

  /// - Parameter data: what `source` looks at, for messages.
  package init(
    _ source: any AuditedSource, data: String, acknowledged: Acknowledgements, options: Options,
    time: any TimeSource
  ) {
    self.data = data
    self.options = options
    self.acknowledged = acknowledged
    self.time = time
    self.source = Mutex(source)
    audit = Mutex(Audit(data: data, options: options.audit, now: time.monotonic))
  }

  /// Audits a data directory.
  package convenience init(
    path: FilePath, names: ServerNames, acknowledged: Acknowledgements, options: Options
  ) {
    let time = SystemClock()
    self.init(
      SourceLook(path, names: names, time: time), data: "\(path)", acknowledged: acknowledged,
      options: options, time: time)
  }

  /// Sets the repository to watch, once it is known.
  package func watch(_ store: any ObjectStore, _ frame: Frame) {
    repository.withLock {
      $0.store = store
      $0.frame = frame
    }
  }

  // MARK: Verdicts

  package var verdict: Verdict {
    let confirmed = acknowledged.confirmed
    let now = time.monotonic
    return audit.withLock {
      $0.judge(confirmed)
      return $0.verdict(confirmed, now: now)
    }
  }

  /// The verdict, and the other results of the looks.
  package var facts: AuditFacts {
    let confirmed = acknowledged.confirmed
    let now = time.monotonic
    let lookedAt = repositoryLookedAt
    return audit.withLock {
      $0.judge(confirmed)
      return AuditFacts(
        verdict: $0.verdict(confirmed, now: now), coveredAt: $0.coveredAt,
        holdsData: $0.holdsData, repositoryLookedAt: lookedAt)
    }
  }

  /// Whether a look that began at `mark` (monotonic, ms) or later is covered.
  package func isCovered(since mark: Int64) -> Bool {
    let confirmed = acknowledged.confirmed
    let now = time.monotonic
    return audit.withLock {
      $0.judge(confirmed)
      return $0.isCovered(since: mark, now: now)
    }
  }

  /// The end of a file that is not backed up, since a server does not load it; nil if there is none.
  package var ignoredTail: String? { tail.withLock { $0 } }

  /// When the repository was last checked; nil: not yet.
  package var repositoryLookedAt: Instant? { repository.withLock { $0.lastLook } }

  // MARK: The source

  /// Looks at the data directory once. Blocks.
  package func look() {
    let result = source.withLock { source -> Result<SourceSample, LifeboatError> in
      do throws(LifeboatError) {
        return .success(try source.sample())
      } catch {
        return .failure(error)
      }
    }
    let confirmed = acknowledged.confirmed
    let now = time.monotonic
    let unclear = audit.withLock { audit in
      switch result {
      case .success(let sample): audit.saw(sample, confirmed)
      case .failure(let error):
        audit.failed(at: now, "\(data) can't be checked: \(error.inOneLine)")
      }
      return audit.toExplain(confirmed, now: now)
    }
    if let unclear {
      explain(
        unclear.file, from: unclear.durable, isStill: unclear.isStill, isLast: unclear.isLast)
    }
  }

  /// Looks at the data directory every few seconds until its task is cancelled.
  package func run(afterEach: @Sendable () -> Void) async {
    while !Task.isCancelled {
      look()
      afterEach()
      ticks.continuation.yield()
      try? await time.sleep(milliseconds: options.lookInterval)
    }
  }

  /// At most this many unshipped bytes are read to find out why they are not shipped. A longer command
  /// counts as still being shipped.
  private static let explainMax: UInt64 = 1 << 20

  /// Says why bytes after the last acknowledged ones are not shipped: they are not commands, or not a
  /// complete command.
  private func explain(
    _ file: SourceSample.File, from durable: UInt64, isStill: Bool, isLast: Bool
  ) {
    let count = min(file.version.size - durable, Auditor.explainMax)
    guard
      let bytes = source.withLock({ $0.read(file, from: durable, count: Int(count)) }),
      !bytes.isEmpty
    else { return }
    var scanner = AOFScanner(at: durable)
    bytes.withUnsafeBytes { scanner.consume($0) }
    // There is a complete command, or a large one that is still incomplete here: the shipping path is only
    // slow.
    guard
      scanner.fault != nil || (isStill && scanner.boundary == durable && count < Auditor.explainMax)
    else { return }
    let name = printable(file.name)
    let isTorn = scanner.fault == nil && isStill && scanner.boundary == durable
    if isTorn, scanner.endsInAnnotation || (isLast && options.audit.ignoresTornTail) {
      audit.withLock { $0.ignores(file, from: durable) }
      let what = scanner.endsInAnnotation ? "an incomplete annotation" : "an unfinished command"
      tail.withLock {
        $0 =
          "\(name) ends with \(what) at offset \(durable): a server does not load it, and it is "
          + "not backed up"
      }
      return
    }
    let reason =
      if let fault = scanner.fault {
        "\(name) is damaged from offset \(fault.offset) on: \(fault.reason). A server would not start "
          + "with it. If Redis is running, BGREWRITEAOF writes a new AOF; otherwise use redis-check-aof"
      } else {
        "\(name) ends with an unfinished command at offset \(scanner.boundary): a server truncates it "
          + "at its next start. If Redis is running, BGREWRITEAOF writes a new AOF"
      }
    audit.withLock { $0.explained(file.version.identity, from: durable, reason) }
  }

  // MARK: The repository

  /// - Parameter damaged: the objects that are not, or no longer, what was written.
  func lost(_ reason: String, damaged: Set<ObjectPath> = []) {
    let now = time.monotonic
    repository.withLock { state in
      if state.damaged.count > Auditor.damagedMax { state.damaged = [] }
      state.damaged.formUnion(damaged)
    }
    acknowledged.forget()
    audit.withLock { $0.lost(at: now, reason) }
  }

  private static let damagedMax = 1000
  /// Objects that were found damaged or missing. A comparison leaves them out, so that what they held is
  /// shipped again.
  package var damaged: Set<ObjectPath> { repository.withLock { $0.damaged } }

  /// The repository was compared with the disk again.
  package func compared() { audit.withLock { $0.recovered() } }

  /// Why acknowledgements no longer count; nil if they do.
  package var loss: String? {
    if case .lost(_, let reason) = verdict { reason } else { nil }
  }

  /// The bytes [from, to) of a file on disk, if the file still has this identity; otherwise nil.
  func read(_ identity: FileIdentity, _ name: String, from: UInt64, to: UInt64) -> [UInt8]? {
    let version = FileVersion(
      identity: identity, size: to, modified: .init(seconds: 0, nanoseconds: 0),
      changed: .init(seconds: 0, nanoseconds: 0))
    return source.withLock {
      $0.read(.init(name: name, version: version), from: from, count: Int(to - from))
    }
  }
}
