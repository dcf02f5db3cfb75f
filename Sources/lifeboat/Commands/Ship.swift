import ArgumentParser
import Auditing
import BackupLogic
import BackupTypes
import Codec
import Logging
import ObjectStorage
import Replication
import StatusPages
import SystemIO
import SystemPackage

struct Ship: ExitingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Watch a data directory and ship it: the sidecar.",
    discussion: """
      Reads only: it works with the data directory mounted read-only and needs no connection to \
      Redis. It ends for SIGTERM and SIGINT, after shipping what is on disk; whatever else goes wrong \
      is a state that it reports and leaves by itself.
      """)

  @Option(help: ArgumentHelp("Redis's data directory (its `dir`).", valueName: "path"))
  var data: String
  @OptionGroup var repository: RepositoryOptions
  @OptionGroup var nameOptions: NameOptions

  @Option(help: ArgumentHelp("At most one log object in this time.", valueName: "time"))
  var shipInterval = Milliseconds(1000)
  @Option(
    help: ArgumentHelp(
      "With a live AOF, at most one dump in this time; 0 ships every dump.", valueName: "time"))
  var dumpInterval = Milliseconds(3_600_000)
  @Flag(help: "Ship one consistent snapshot of what is on disk, then exit.")
  var once = false
  @Option(
    help: ArgumentHelp(
      "The name of this Redis; required under Kubernetes (namespace/name).",
      discussion:
        "Default: the absolute path of the data directory. The host name before it is only a label.",
      valueName: "name"))
  var source: String?
  @Flag(help: "Take the repository over from another source or writer.")
  var takeOver = false
  @Option(help: "How objects are compressed.")
  var compression = Compression.zstd
  @Option(
    help: ArgumentHelp("Bytes a second read of dumps and BASEs; 0: no limit.", valueName: "bytes"))
  var readLimit = Bytes(64 << 20)
  @Option(
    help: ArgumentHelp(
      "Bytes of replaced files that may be kept open. Default: a quarter of the free space.",
      valueName: "bytes"))
  var maxPinned: Bytes?
  @Option(help: ArgumentHelp("How long the shrink guard keeps what it pinned.", valueName: "time"))
  var pinFor = Milliseconds(30 * 86_400_000)
  @Option(
    help: ArgumentHelp("How long small log objects stay after they were folded.", valueName: "time")
  )
  var foldGrace = Milliseconds(3_600_000)
  @OptionGroup var retention: RetentionOptions
  @Flag(
    help: ArgumentHelp(
      "Delete nothing, for credentials that only append: `lifeboat prune` does it elsewhere."))
  var noPrune = false
  @Option(help: ArgumentHelp("How long the end may take after a signal.", valueName: "time"))
  var shutdownTimeout = Milliseconds(25_000)
  @Option(
    help: ArgumentHelp(
      "Serve /metrics, /livez and /startupz here, for example :9847. Default: nowhere.",
      valueName: "address"))
  var listen: String?
  @OptionGroup var admin: AdminOptions
  @Option(
    help: ArgumentHelp(
      "Read back one object that the newest state needs each time this has passed; 0: never.",
      valueName: "time"))
  var probeInterval = Milliseconds(3_600_000)
  @Option(
    name: .customLong("repository-id"),
    help: ArgumentHelp(
      "Ship to this repository only. Refuse any other, or a missing one.",
      discussion: "`lifeboat list` prints the id. Without it a first start makes a repository.",
      valueName: "id"))
  var repositoryID: String?
  @Option(
    help: ArgumentHelp(
      "Report blocked if the server writes nothing for this time.",
      discussion: """
        Files do not show that CONFIG SET dir sent a server to another directory: the old one looks idle. \
        For a server that always writes, as that of Ray does, give a time that is several times its \
        longest pause.
        """, valueName: "time"))
  var expectWrites: Milliseconds?
  @Option(
    name: .customLong("heartbeat-url"),
    help: ArgumentHelp(
      "Request this URL once a minute while the backups are healthy.",
      discussion: """
        For a service that alarms when nothing comes: not while the log lags by two minutes or a full \
        copy by an hour, nor in standby, while the store is away, or while a start is suspect. Whoever \
        knows the address can beat, so give it as LIFEBOAT_HEARTBEAT_URL, from a Secret.
        """, valueName: "url"))
  var heartbeatURL: String?
  @Option(help: "How log lines are written to standard error.")
  var logFormat = LogFormat.text
  @Flag(help: "At the end, print one JSON document.")
  var json = false

  var handlesSignals: Bool { !once }
  var movesMuch: Bool { once }

  func execute() async throws -> BackupTypes.ExitCode {
    let logger = logFormat.logger()
    var options = try options()
    let status = ShipStatus(time: SystemClock())
    let statistics = StoreStatistics()
    let stop = StopRequest(time: SystemClock())
    let counted = try Stores.counted(repository.repo, repository.transport, statistics)
    // `--once` and the page, for which a person waits, give up after a while.
    let brief = Stores.interactive(counted.store)
    let store =
      once
      ? brief : Stores.enduring(counted, status: status, stop: stop, logger: logger)
    options.url = RestoreCommand.url(repository.repo, store)
    options.lastStoreCall = { statistics.current.lastCall }
    let shipper = Shipper(
      options: options, store: store, status: status, stop: stop, logger: logger)
    let service = once ? nil : try service(shipper, store, reading: brief, statistics, logger)
    if !once {
      ProcessTuning.beGentle()
      Interruption.shared.handle { shipper.requestStop() }
      logStart(options, store, logger)
      tellOfKey(options.keys, logger)
    }
    let outcome = try await shipper.run()
    service?.stop()
    let since = unshippedSince(outcome)
    if json { try Console.json(ShipDocument(outcome, unshippedSince: since)) }
    return conclude(outcome, since, logger)
  }

  private func service(
    _ shipper: Shipper, _ store: any ObjectStore, reading: any ObjectStore,
    _ statistics: StoreStatistics, _ logger: Logger
  ) throws -> ShipService {
    ShipService(
      pages: ShipPages(
        shipper: shipper, statistics: statistics, repository: store.location,
        version: Lifeboat.version, pictures: pictures(reading, shipper.options.keys),
        restore: RestoreCommand(
          repository: shipper.options.url ?? store.location,
          isEncrypted: shipper.options.keys.isGiven)),
      listen: try listen.map { try ListenAddress($0) }, admin: try admin.address(),
      heartbeat: try heartbeatURL.map {
        try Heartbeat($0, repository.transport, status: shipper.status, logger: logger)
      },
      logger: logger)
  }

  /// The threads that a reading blocks end with it.
  private func pictures(_ store: any ObjectStore, _ keys: KeySource) -> PictureKeeper {
    PictureKeeper { memory in
      let pool = try BlockingPool(name: "page", threads: 4)
      return try await withTaskExecutorPreference(pool) {
        try await ChronicleReader.read(store, keys: keys, now: SystemClock.now(), memory: memory)
      }
    }
  }

  private func options() throws -> Shipper.Options {
    let path = FilePath(data)
    guard FileStatus.isDirectory(path) else {
      throw LifeboatError(
        .usage, "--data \(data) is not a directory", hint: "give Redis's data directory")
    }
    let environment = EnvironmentFlags.processEnvironment()
    if source == nil, environment["KUBERNETES_SERVICE_HOST"] != nil {
      throw LifeboatError(
        .usage, "--source is required under Kubernetes",
        hint: "name this Redis, for example --source $(POD_NAMESPACE)/redis")
    }
    var plan = ShipPlan.Options()
    plan.shipInterval = max(100, shipInterval.value)
    plan.dumpInterval = dumpInterval.value
    plan.pinFor = pinFor.value
    plan.foldGrace = foldGrace.value
    plan.removesFolded = !noPrune
    let free = try FileSystemSpace.at(path).freeBytes
    let name =
      source.map { SourceName(given: $0) }
      ?? SourceName(
        host: HostFacts.hostName(), data: data,
        workingDirectory: HostFacts.workingDirectory()?.description)
    var options = Shipper.Options(
      data: path, names: try nameOptions.resolve().names ?? ServerNames(), compression: compression,
      source: name.text,
      host: environment["POD_UID"] ?? HostFacts.bootIdentifier() ?? HostFacts.hostName(),
      takesOver: takeOver, isOnce: once, plan: plan,
      readLimit: readLimit.value == 0 ? nil : readLimit.value,
      pinnedMax: maxPinned?.value ?? free / 4, shutdownTimeout: max(4000, shutdownTimeout.value),
      writer: "lifeboat \(Lifeboat.version)", probesStore: isInCloud,
      keys: repository.key.source())
    options.audit = audit
    if let repositoryID {
      guard let id = Nonce(hexadecimal: repositoryID) else {
        throw LifeboatError(
          .usage, "--repository-id is not an id", hint: "`lifeboat list` prints it: 32 hex digits")
      }
      options.repositoryID = id
    }
    options.sourceName = name
    let policy = try retention.policy()
    options.retention = noPrune ? nil : policy
    return options
  }

  /// While something is written the repository is checked more often than while idle, never less often.
  private var audit: Auditor.Options {
    var audit = Auditor.Options()
    audit.audit.expectWrites = expectWrites?.value
    audit.probeInterval = probeInterval.value == 0 ? nil : max(1000, probeInterval.value)
    if let interval = audit.probeInterval {
      audit.claimInterval = min(audit.claimInterval, interval)
      audit.logInterval = min(audit.logInterval, interval)
    }
    return audit
  }

  /// The capabilities of a directory are known.
  private var isInCloud: Bool {
    repositoryScheme(repository.repo).map { $0 != "file" } ?? false
  }

  private func logStart(_ options: Shipper.Options, _ store: any ObjectStore, _ logger: Logger) {
    let perDay = 86_400_000 / max(1, options.plan.shipInterval)
    logger.notice(
      "lifeboat \(Lifeboat.version) ships",
      metadata: [
        "data": "\(options.data)", "repository": "\(store.location)", "source": "\(options.source)",
        "interval": "\(humanDuration(milliseconds: options.plan.shipInterval))",
        "encryption": "\(options.keys.isGiven ? "with the key given" : "none: no key was given")",
        "requests": "at most \(perDay) log objects a day while Redis writes, none while it is idle",
      ])
  }

  /// An unusable key is a state, like an unreachable store: the Secret may be fixed later. It is logged
  /// now, not only when Redis has written something.
  private func tellOfKey(_ keys: KeySource, _ logger: Logger) {
    do {
      _ = try keys.read()
    } catch {
      logger.error(
        "the repository's key can't be used: nothing will be shipped until it can",
        metadata: ["cause": "\(error)"])
    }
  }

  private func unshippedSince(_ outcome: Shipper.Outcome) -> Instant? {
    let proved = outcome.verdict?.since.map {
      SystemClock.now().advanced(byMilliseconds: $0 - SystemClock.monotonicMilliseconds())
    }
    return [proved, outcome.pendingSince].compactMap { $0 }.min()
  }

  private func conclude(_ outcome: Shipper.Outcome, _ since: Instant?, _ logger: Logger)
    -> BackupTypes.ExitCode
  {
    guard !outcome.isComplete else {
      logger.notice("shut down: the repository holds what is on disk")
      return .success
    }
    if outcome.verdict == .nothing {
      logger.error(
        "nothing was shipped: \(data) holds nothing of Redis yet",
        metadata: ["remedy": "check --data, and that Redis saves: appendonly yes, or save points"])
      return .failure
    }
    var metadata: Logger.Metadata = ["bytes": "\(outcome.unshippedBytes)"]
    if let since {
      let age = max(0, SystemClock.now().since(since))
      metadata["age"] = "\(humanDuration(milliseconds: age))"
    }
    if let reason = outcome.verdict?.reason ?? outcome.reason { metadata["reason"] = "\(reason)" }
    metadata["remedy"] =
      outcome.state == .standby
      ? "give this directory a repository of its own, or --take-over once the other has ended"
      : "start lifeboat ship on this volume again, or run it with --once"
    logger.error("\(ended(outcome))", metadata: metadata)
    return .failure
  }

  /// How a run ended that did not ship everything.
  private func ended(_ outcome: Shipper.Outcome) -> String {
    if !outcome.hasShipped, let reason = outcome.verdict?.reason {
      return "nothing was shipped: \(reason)"
    }
    let what = outcome.hasShipped ? "what came last" : "nothing"
    let was = outcome.hasShipped ? "was not shipped" : "of this directory was shipped"
    return switch outcome.state {
    case .standby: "ended in standby: \(what) \(was)"
    case .blocked:
      "ended while blocked: \(what) \(was), and unshipped bytes are on the volume only"
    default: "ended with unshipped bytes: they are on the volume only"
    }
  }
}
