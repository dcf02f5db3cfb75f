package import Auditing
import BackupFormat
package import BackupTypes
package import Codec
package import HistoryLogic
package import Logging
package import ObjectStorage
import RedisFormats
package import RepositoryAccess
import Synchronization
package import SystemIO
package import SystemPackage
package import WriterLogic

/// The sidecar: watches a data directory and ships it, for as long as the process lives.
///
/// It reports every failure as a state, which ends by itself once the cause is gone. It exits only when asked
/// to. After `requestStop`, it ships the data on disk within the given time. After cancellation, it ships
/// nothing more; what is durable stays valid.
package final class Shipper: Sendable {
  package struct Options: Sendable {
    package var data: FilePath
    /// The server whose stream is shipped. Nil if the files of `data` are shipped.
    package var server: String?
    package var names: ServerNames
    package var compression: Compression
    package var source: String
    /// A pod's UID, otherwise the boot id. Together with the directory's identity it makes the instance.
    package var host: String
    package var takesOver: Bool
    package var isOnce: Bool
    /// Whether the first claim of a repository tests what its store can do.
    package var probesStore: Bool
    package var writing: Writing.Options
    package var readLimit: UInt64?
    /// The threads that read, check, hash and compress full copies; nil: those of the caller.
    package var computing: BlockingPool?
    package var pinnedMax: UInt64
    package var shutdownTimeout: Int64
    package var writer: String
    /// With a key, a new repository is encrypted.
    package var keys: KeySource
    /// Which part of the history is kept; nil: nothing is ever deleted.
    package var retention: RetentionPolicy?
    /// How often retention is applied while there is something to ship, in milliseconds.
    package var pruneInterval: Int64 = 3_600_000
    /// The value of `--repo`, for commands that are printed.
    package var url: String?
    /// How often the disk and the repository are audited.
    package var audit = Auditor.Options()
    /// Any other repository is refused, and so is a missing one.
    package var repositoryID: Nonce?
    /// Called with the uploaded and the total bytes of the full copies whose upload has begun.
    package var progress: @Sendable (_ done: UInt64, _ of: UInt64) -> Void = { _, _ in }
    /// Which `source` values in claims stand for this Redis. A new repository gets `source`.
    package var sourceName: SourceName

    /// Where the data are, for messages.
    package var place: String { server ?? "\(data)" }
    /// What is backed up if all is.
    package var everything: String { Options.everything(in: place) }
    /// The same for a `place` of files, or for the URL of a server.
    static func everything(in place: String) -> String {
      place.contains("://") ? "everything that the server sent" : "everything on disk"
    }

    package init(
      data: FilePath, names: ServerNames, compression: Compression, source: String, host: String,
      takesOver: Bool, isOnce: Bool, writing: Writing.Options, readLimit: UInt64?,
      pinnedMax: UInt64,
      shutdownTimeout: Int64, writer: String, probesStore: Bool = false,
      keys: KeySource = .none
    ) {
      self.data = data
      self.names = names
      self.compression = compression
      self.source = source
      sourceName = SourceName(given: source)
      self.host = host
      self.takesOver = takesOver
      self.isOnce = isOnce
      self.probesStore = probesStore
      self.writing = writing
      self.readLimit = readLimit
      self.pinnedMax = pinnedMax
      self.shutdownTimeout = shutdownTimeout
      self.writer = writer
      self.keys = keys
    }
  }

  /// How a run ended.
  package struct Outcome: Sendable, Equatable {
    package var timeline: TimelineNumber?
    package var state: ShipStatus.State
    /// What the last look found; nil in standby, where another shipper owns the repository.
    package var verdict: Verdict?
    /// Bytes that the shipping path knows not to be durable.
    package var pendingBytes: UInt64 = 0
    /// Since when these bytes are on disk. Nil if the verdict says it.
    package var pendingSince: Instant?
    /// Why nothing was shipped, in standby or when blocked.
    package var reason: String?
    /// Some data of this directory was shipped.
    package var hasShipped = true
    /// The end of a file that is not backed up, since a server does not load it.
    package var ignoredTail: String?

    /// A look proved that the repository holds everything on disk.
    package var isComplete: Bool { verdict?.isCovered ?? false }
    package var unshippedBytes: UInt64 { max(pendingBytes, verdict?.bytes ?? 0) }
  }

  enum Event: Sendable, Equatable {
    case change
    case stop
    case sync
    case record
    case generation
    case repository
  }

  package let options: Options
  let store: any ObjectStore
  let logger: Logger
  package let status: ShipStatus
  private let request: StopRequest
  let time: any TimeSource
  private let makeSource: @Sendable () throws(LifeboatError) -> any Source
  let mailbox: Mailbox<Event>
  let refusal = StoreRefusal()
  let acknowledged: Acknowledgements
  package let auditor: Auditor
  /// The repository that this process has seen. It never creates another one in its place.
  let seen = Mutex<(descriptor: Descriptor?, claim: Claim?)>((nil, nil))
  private let auditLog = AuditLog()
  /// Retention was denied and waits until this time, by the monotonic clock in milliseconds.
  let deletingDeniedUntil = Mutex<Int64>(0)
  let pruneNews = Mutex(PruneNews())

  /// The store shares `stop`, so that its retries end with it.
  /// - Parameters:
  ///   - makeSource: called at the beginning, and again when `options.data` leads elsewhere.
  ///   - audited: what the auditor looks at: the same data, read by another way.
  package init(
    options: Options, store: any ObjectStore, status: ShipStatus, stop: StopRequest,
    logger: Logger, time: any TimeSource, audited: any AuditedSource,
    makeSource: @escaping @Sendable () throws(LifeboatError) -> any Source
  ) {
    self.options = options
    self.store = store
    request = stop
    self.status = status
    self.logger = logger
    self.time = time
    self.makeSource = makeSource
    mailbox = Mailbox(bell: time.makeBell())
    acknowledged = Acknowledgements(time: time)
    auditor = Auditor(
      audited, data: options.place, acknowledged: acknowledged, options: options.audit,
      time: time)
  }

  /// Ships the files of `options.data`.
  package convenience init(
    options: Options, store: any ObjectStore, status: ShipStatus, stop: StopRequest,
    logger: Logger
  ) {
    let (path, names, time) = (options.data, options.names, SystemClock())
    self.init(
      options: options, store: store, status: status, stop: stop, logger: logger, time: time,
      audited: SourceLook(path, names: names, time: time)
    ) { () throws(LifeboatError) in try Capture(path, names: names, time: time) }
  }

  /// Requests a clean shutdown; safe to call from any thread, more than once.
  package func requestStop() {
    request.set(in: options.shutdownTimeout)
    mailbox.post(.stop)
  }

  /// Requests that everything on disk is shipped at once, whatever the interval. Safe to call from any
  /// thread. It is done when `status` reports the number that this returns.
  package func requestSync() -> UInt64 {
    let number = status.askSync()
    mailbox.post(.sync)
    return number
  }

  /// If inotify works, polling names, inodes and sizes is only its safety net.
  static let pollInterval: Int64 = 5000

  package func run() async throws -> Outcome {
    let auditor = auditor
    status.audit(by: auditor)
    // Both end with this scope.
    async let _: Void = auditor.run { self.tellOfAudit() }
    async let _: Void = auditor.watchRepository { self.mailbox.post(.repository) }
    return try await ship()
  }

  private func ship() async throws -> Outcome {
    var source = try makeSource()
    var origin = try await source.origin()
    let watch =
      options.isOnce
      ? nil : await source.watch(logger) { [mailbox] in mailbox.post(.change) }
    defer { watch?.stop() }
    var writer = Writer(ownership: ownership(of: origin))
    var stop: Stop?
    var hasShipped = false
    /// Data on disk that was found not to be in the repository, and the time of its last write.
    var pending: (bytes: UInt64, since: Instant?) = (0, nil)
    let begun = time.monotonic
    var patience = Patience(since: begun)
    // Looks before the capture's first look, so that the single snapshot has at least what this look found.
    if options.isOnce { auditor.look() }
    while true {
      try Task.checkCancellation()
      status.turn()
      writer.isEnding = stop != nil
      let (asked, askedAt) = (status.shipping.syncAsked, time.monotonic)
      var session: ShipSession?
      var (bytes, lastWrite): (UInt64, Instant?) = (0, nil)
      do {
        var view = try await source.look()
        if view.otherDirectory.isThere {
          source = try makeSource()
          let other = try await source.origin()
          // The same directory may be mounted again, perhaps from another device.
          let isSame = other.directory == origin.directory
          writer.handle(.moved(ownership(of: other), isSame: isSame), now: time.monotonic)
          origin = other
          view = try await source.look()
        }
        // Without a claim only existing files are held: a standby shipper uses no disk space.
        source.release(except: [])
        if stop != nil {
          let (now, saves) = (time.monotonic, try await source.savesInProgress())
          stop?.saw(view, now: now)
          stop?.saw(saves: saves, now: now)
        }
        (bytes, lastWrite) = (view.bytes, view.lastWrite)
        if auditor.loss != nil { writer.handle(.lost, now: time.monotonic) }
        session = try await compare(view, source, &writer)
        if case .upToDate = writer.state { report(durable: asked, askedAt) }
      } catch let error as LifeboatError where !options.isOnce {
        writer.handle(.failed(error), now: time.monotonic)
      }
      if var session {
        (hasShipped, pending) = (true, (0, nil))
        session.begun = begun
        let ending = try await session.run(watch, stop)
        source.release(except: [])
        let now = time.monotonic
        stop = session.stop
        stop?.beginAgain(now: now)
        if let outcome = session.outcome { return outcome }
        writer.handle(.ended(ending, isAsked: session.writing.isReadyToAsk), now: now)
        try tell(ending)
      } else if case .upToDate = writer.state {
        pending = (0, nil)
        if options.isOnce {
          auditor.look()
          if patience.isOver(auditor, now: time.monotonic) {
            return outcome(hasShipped, pending, since: begun)
          }
        }
      } else {
        pending = (bytes, pending.since ?? lastWrite)
      }
      try report(writer)
      if let stop, stop.isQuiet(time.monotonic) || stop.isOver(time.monotonic) {
        auditor.look()
        return outcome(hasShipped, pending, since: time.monotonic)
      }
      watch?.rearm()
      if await wait(for: writer, watch, isEnding: stop != nil) { stop = stop ?? makeStop(nil) }
    }
  }

  /// - Parameter view: the last look.
  func makeStop(_ view: CaptureView?) -> Stop {
    let now = time.monotonic
    return Stop(now: now, deadline: request.deadline ?? now + options.shutdownTimeout, view: view)
  }

  /// Waits until something happens, or for the time that the state of `writer` gives. Returns whether a stop
  /// was requested: only a stop shortens a pause between two timelines.
  private func wait(
    for writer: Writer, _ watch: (any SourceWatch)?, isEnding: Bool
  ) async -> Bool {
    let lookInterval =
      watch?.isWorking ?? false ? Shipper.pollInterval : options.writing.shipInterval
    let (longest, isPause) =
      switch writer.wait(at: time.monotonic) {
      case .change: (lookInterval, false)
      case .atMost(let longest): (longest, false)
      case .pause(let longest): (longest, !isEnding)
      }
    let end = time.monotonic + (isEnding || options.isOnce ? 200 : longest)
    while true {
      let left = end - time.monotonic
      let events = await mailbox.next(waiting: left)
      if events.contains(.stop) { return true }
      if !isPause || left <= 0 || Task.isCancelled { return false }
    }
  }

  /// The identity under which this shipper claims: this Redis, on this machine, with this directory.
  private func ownership(of origin: SourceOrigin) -> Ownership {
    Ownership(
      source: options.sourceName, instance: options.host + "/" + origin.directory,
      directory: origin.directory, place: origin.place, isStable: origin.isStable,
      takesOver: options.takesOver)
  }

  /// How a run without a claim ends: with the verdict of an audit.
  private func outcome(
    _ hasShipped: Bool, _ pending: (bytes: UInt64, since: Instant?), since mark: Int64
  ) -> Outcome {
    let shown = status.current
    let isStandby = status.shipping.state == .standby
    let verdict = auditor.isCovered(since: mark) ? .covered(at: mark) : auditor.verdict
    return Outcome(
      timeline: nil, state: shown.state, verdict: isStandby ? nil : verdict,
      pendingBytes: pending.bytes, pendingSince: pending.since, reason: shown.reason,
      hasShipped: hasShipped, ignoredTail: auditor.ignoredTail)
  }

  /// Logs what the audit finds, once when it begins and once when it is over.
  private func tellOfAudit() {
    guard status.shipping.state != .standby else { return }
    auditLog.note(auditor.verdict, of: options.everything, now: time.monotonic, logger)
  }
}
