import ArgumentParser
import Auditing
import BackupTypes
import Codec
import HistoryLogic
import Logging
import ObjectStorage
import ReplicationLink
import RepositoryAccess
import Shipping
import StatusPages
import SystemIO
import SystemPackage
import WriterLogic

struct Ship: RepositoryCommand {
  static let configuration = CommandConfiguration(
    abstract: "Back up a data directory continuously: the sidecar.",
    discussion: """
      With --data it reads the data directory only: it can be mounted read-only, and no connection to \
      Redis is needed. With --replica-of it is a replica of a server, and needs no files. On SIGTERM or SIGINT, ship uploads what is left and exits. It does not exit for \
      other problems: it reports them and recovers by itself.

      Examples:
        # The sidecar of a Redis, to a bucket
        lifeboat ship --data /var/lib/redis --repo s3://backups/redis
        # One consistent copy of what is on disk now
        lifeboat ship --once --data /var/lib/redis --repo /backups/redis
        # A server without a volume, as its replica
        lifeboat ship --replica-of redis://redis:6379 --repo s3://backups/redis
      """)

  @Option(
    help: ArgumentHelp("Redis's data directory (its `dir`).", valueName: "path"),
    completion: .directory)
  var data: String?
  @OptionGroup var link: LinkOptions
  @OptionGroup var repository: RepositoryOptions
  @OptionGroup var nameOptions: NameOptions

  @Option(help: ArgumentHelp("Upload at most one log object per interval.", valueName: "time"))
  var shipInterval = Milliseconds(1000)
  @Option(
    help: ArgumentHelp(
      "Upload at most one dump per interval; 0: every dump. Default: 1h with a live AOF, else every dump.",
      discussion: """
        With a live AOF, a dump is only needed to start a server without an AOF. Without an AOF, the dumps \
        are the backup: if the volume is lost, data that Redis saved within this interval is lost, too. \
        sync and the shutdown of ship upload the newest dump without waiting.
        """, valueName: "time"))
  var dumpInterval: Milliseconds?
  @Flag(help: "Ship one consistent snapshot of what is on disk, then exit.")
  var once = false
  @Option(
    help: ArgumentHelp(
      "The name of this Redis; required in Kubernetes (namespace/name).",
      discussion:
        "Default: the absolute path of the data directory. The host name before it is only a label.",
      valueName: "name"))
  var source: String?
  @Flag(help: "Take over the repository from another source or shipper.")
  var takeOver = false
  @Option(help: "The compression of objects.")
  var compression = Compression.zstd
  @Option(
    help: ArgumentHelp(
      "Read limit for dumps and BASEs, in bytes a second; 0: none.", valueName: "bytes"))
  var readLimit = Bytes(64 << 20)
  @Option(
    help: ArgumentHelp(
      "Limit for files that Redis deleted and that are not yet uploaded. Default: a quarter of the free space.",
      valueName: "bytes"))
  var maxPinned: Bytes?
  @Option(
    help: ArgumentHelp("How long the shrink guard keeps a pinned restore point.", valueName: "time")
  )
  var pinFor = Milliseconds(30 * 86_400_000)
  @Option(
    help: ArgumentHelp("How long small log objects stay after they were merged.", valueName: "time")
  )
  var foldGrace = Milliseconds(3_600_000)
  @OptionGroup var retention: RetentionOptions
  @Flag(
    help: ArgumentHelp(
      "Never delete, for append-only credentials; run `lifeboat prune` elsewhere."))
  var noPrune = false
  @Option(help: ArgumentHelp("How long ship may take to finish after a signal.", valueName: "time"))
  var shutdownTimeout = Milliseconds(25_000)
  @Option(
    help: ArgumentHelp(
      "Serve /metrics, /livez and /startupz here, for example :9847. Default: off.",
      valueName: "address"))
  var listen: String?
  @OptionGroup var admin: AdminOptions
  @Option(
    help: ArgumentHelp(
      "Host names under which --admin-listen answers on an address that others can reach.",
      discussion: """
        Separated by commas. IP addresses and the host in --admin-listen itself are always allowed. \
        Any other name is refused, so that a foreign web page can't reach the page through a browser.
        """, valueName: "names"))
  var adminHost: String?
  @Option(
    help: ArgumentHelp(
      "How often to read back one object that the newest state needs; 0: never.",
      valueName: "time"))
  var probeInterval = Milliseconds(3_600_000)
  @Option(
    name: .customLong("repository-id"),
    help: ArgumentHelp(
      "Ship to this repository only; refuse if it is a different one or missing.",
      discussion:
        "`lifeboat list` prints the id. Without this flag, the first start creates a repository.",
      valueName: "id"))
  var repositoryID: RepositoryID?
  @Option(
    help: ArgumentHelp(
      "Report blocked if the server writes nothing for this long.",
      discussion: """
        After CONFIG SET dir, a server writes to another directory, and the old one only looks idle. For \
        a server that always writes, as Ray's does, set several times its longest pause.
        """, valueName: "time"))
  var expectWrites: Milliseconds?
  @Option(
    name: .customLong("heartbeat-url"),
    help: ArgumentHelp(
      "Request this URL once a minute while the backups are healthy.",
      discussion: """
        For a service that alerts when requests stop. Lifeboat sends no request while the log lags by two \
        minutes or a full copy by an hour, while the store is unavailable, while the newest state is \
        suspect, in standby, or while blocked. \
        Anyone who knows the URL can send requests, so set it as LIFEBOAT_HEARTBEAT_URL, from a Secret.
        """, valueName: "url"))
  var heartbeatURL: String?
  @Option(help: "The format of log lines on standard error.")
  var logFormat = LogFormat.text
  @Flag(help: "Print one JSON document on exit.")
  var json = false

  var handlesSignals: Bool { !once }
  var movesMuch: Bool { once }
  var showsProgress: Bool { once }

  func execute() async throws -> BackupTypes.ExitCode {
    let logger = logFormat.logger()
    var options = try options()
    let status = ShipStatus(time: SystemClock())
    status.update { [wait = options.writing.dumpIntervalAlone] in $0.dumpInterval = wait }
    let statistics = StoreStatistics()
    let stop = StopRequest(time: SystemClock())
    let counted = try Stores.counted(repository.repo, repository.transport, statistics)
    // A person waits for `--once` and for the page, so these give up after a while.
    let brief = Stores.interactive(counted.store)
    let store =
      once
      ? brief : Stores.enduring(counted, status: status, stop: stop, logger: logger)
    options.url = RestoreCommand.url(repository.repo, store)
    options.progress = { Progress.show("uploading", $0, of: $1) }
    let linked =
      link.server.isGiven
      ? try await link.shipper(
        options, try repository.memoryBound(), store: store, status: status, stop: stop,
        logger: logger) : nil
    let shipper =
      linked?.shipper
      ?? Shipper(options: options, store: store, status: status, stop: stop, logger: logger)
    let service = once ? nil : try service(shipper, store, reading: brief, statistics, logger)
    tellOfCluster(logger)
    if !once {
      ProcessTuning.beGentle()
      Interruption.shared.handle { shipper.requestStop() }
      logStart(options, store, logger)
      tellOfKey(options.keys, logger)
    }
    let outcome = try await MemoryBound.$current.withValue(try link.bound(repository)) {
      try await shipper.run()
    }
    service?.stop()
    await linked?.responder.stop()
    let since = unshippedSince(outcome)
    if json { try Console.json(ShipDocument(outcome, unshippedSince: since)) }
    return conclude(outcome, shipper.options.everything, since, logger)
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
      adminHosts: (adminHost ?? "").split(separator: ",").map(String.init),
      heartbeat: try heartbeatURL.map {
        try Heartbeat($0, repository.transport, status: shipper.status, logger: logger)
      },
      logger: logger)
  }

  /// The threads that reading the page's data blocks; they end with it.
  private func pictures(_ store: any ObjectStore, _ keys: KeySource) -> PictureKeeper {
    PictureKeeper { memory in
      let pool = try BlockingPool(name: "page", threads: 4)
      return try await withTaskExecutorPreference(pool) {
        try await ChronicleReader.read(store, keys: keys, now: SystemClock.now(), memory: memory)
      }
    }
  }

  /// The data directory, or the URL of the server that is replicated.
  private func place() throws -> FilePath {
    switch (data, link.server.replicaOf) {
    case (nil, nil):
      throw LifeboatError(
        .usage, "--data or --replica-of is missing",
        hint: "pass Redis's data directory (its `dir`), or the server to be a replica of")
    case (_?, _?):
      throw LifeboatError(
        .usage, "--data and --replica-of exclude each other",
        hint: "files are read from a data directory, or the stream of a server is replicated")
    case (nil, _?): return "/"
    case (let data?, nil):
      let path = FilePath(data)
      guard FileStatus.isDirectory(path) else {
        throw LifeboatError(
          .usage, "--data \(data) is not a directory",
          hint: "pass Redis's data directory (its `dir`)")
      }
      return path
    }
  }

  private func options() throws -> Shipper.Options {
    let path = try place()
    let environment = EnvironmentFlags.processEnvironment()
    if source == nil, environment["KUBERNETES_SERVICE_HOST"] != nil {
      throw LifeboatError(
        .usage, "--source is required in Kubernetes",
        hint: "name this Redis, for example --source $(POD_NAMESPACE)/redis")
    }
    var writing = Writing.Options()
    writing.shipInterval = max(100, shipInterval.value)
    if let dumpInterval {
      writing.dumpInterval = dumpInterval.value
      writing.dumpIntervalAlone = dumpInterval.value
    }
    writing.pinFor = pinFor.value
    writing.foldGrace = foldGrace.value
    writing.removesFolded = !noPrune
    writing.ackInterval = max(10, link.ackInterval.value)
    let server = link.server.isGiven ? "\(try link.server.url())" : nil
    let free = link.server.isGiven ? 0 : try FileSystemSpace.at(path).freeBytes
    let name =
      (source ?? server).map { SourceName(given: $0) }
      ?? SourceName(
        host: HostFacts.hostName(), data: "\(path)",
        workingDirectory: HostFacts.workingDirectory()?.description)
    var options = Shipper.Options(
      data: path, names: try nameOptions.resolve().names ?? ServerNames(), compression: compression,
      source: name.text,
      host: environment["POD_UID"] ?? HostFacts.bootIdentifier() ?? HostFacts.hostName(),
      takesOver: takeOver, isOnce: once, writing: writing,
      readLimit: readLimit.value == 0 ? nil : readLimit.value,
      pinnedMax: maxPinned?.value ?? free / 4, shutdownTimeout: max(4000, shutdownTimeout.value),
      writer: "lifeboat \(Lifeboat.version)", probesStore: isInCloud,
      keys: repository.key.source())
    if !once {
      // One thread: while it waits for its turn, the record lane compresses with the other context.
      options.computing = try BlockingPool(name: "full-copy", threads: 1, isIdle: true)
    }
    options.server = server
    options.audit = audit
    options.repositoryID = repositoryID?.value
    options.sourceName = name
    let policy = try retention.policy()
    options.retention = noPrune ? nil : policy
    return options
  }

  /// While something is written the repository is checked more often than while idle, never less often.
  private var audit: Auditor.Options {
    var audit = Auditor.Options()
    audit.audit.expectWrites = expectWrites?.value
    audit.audit.ignoresTornTail = once
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
    let perDay = 86_400_000 / max(1, options.writing.shipInterval)
    let asked = 86_400_000 / max(1, min(options.writing.ackInterval, options.writing.shipInterval))
    let waits =
      link.server.isGiven
      ? "; if WAIT is used all the time, at most \(counted(asked, "log object"))" : ""
    logger.notice(
      "lifeboat \(Lifeboat.version) started",
      metadata: [
        "data": "\(options.place)", "repository": "\(store.location)",
        "source": "\(options.source)",
        "interval": "\(humanDuration(milliseconds: options.writing.shipInterval))",
        "dumps": "\(dumps(options.writing))",
        "encryption":
          "\(options.keys.isGiven ? "on, with the given key" : "off: no key was given")",
        "requests":
          "at most \(counted(perDay, "log object")) a day while Redis writes; none while Redis is idle\(waits)",
      ])
  }

  private func tellOfCluster(_ logger: Logger) {
    guard let data, let directory = try? OpenDirectory(FilePath(data)),
      let file = ClusterNode.file(in: directory)
    else { return }
    logger.notice("\(ClusterNode.backup(file))")
  }

  private func dumps(_ writing: Writing.Options) -> String {
    let beside = humanDuration(milliseconds: writing.dumpInterval)
    guard writing.dumpIntervalAlone > 0 else {
      return "at most one every \(beside) with a live AOF; every dump without an AOF"
    }
    return "at most one every \(beside); without an AOF, data saved within that time can be lost"
  }

  /// An unusable key is a state, like an unreachable store: the Secret may be fixed later. It is logged
  /// now, not only when Redis has written something.
  private func tellOfKey(_ keys: KeySource, _ logger: Logger) {
    do {
      _ = try keys.read()
    } catch {
      logger.error(
        "the encryption key can't be used: nothing is shipped until this is fixed",
        metadata: error.logged)
    }
  }

  private func unshippedSince(_ outcome: Shipper.Outcome) -> Instant? {
    let proved = outcome.verdict?.since.map {
      SystemClock.now().advanced(byMilliseconds: $0 - SystemClock.monotonicMilliseconds())
    }
    return [proved, outcome.pendingSince].compactMap { $0 }.min()
  }

  private func conclude(
    _ outcome: Shipper.Outcome, _ everything: String, _ since: Instant?, _ logger: Logger
  ) -> BackupTypes.ExitCode {
    guard !outcome.isComplete else {
      if let tail = outcome.ignoredTail { logger.warning("\(tail)") }
      let all = outcome.ignoredTail == nil ? everything : "everything that a server would load"
      logger.notice("shut down cleanly: \(all) is backed up")
      return .success
    }
    if outcome.verdict == .nothing {
      logger.error(
        "nothing was shipped: \(data ?? link.server.replicaOf ?? "") holds no Redis data yet",
        metadata: ["remedy": "check --data, and that Redis persists: appendonly yes, or save"])
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
      ? "use a separate repository for this directory, or --take-over after the other shipper stopped"
      : "run lifeboat ship \(link.server.isGiven ? "" : "on this volume ")again, or lifeboat ship --once"
    logger.error("\(ended(outcome))", metadata: metadata)
    return .failure
  }

  /// How a run ended that did not ship everything.
  private func ended(_ outcome: Shipper.Outcome) -> String {
    if !outcome.hasShipped, let reason = outcome.verdict?.reason {
      return "nothing was shipped: \(reason)"
    }
    let place = link.server.isGiven ? "server" : "volume"
    let what = outcome.hasShipped ? "the newest data was not shipped" : "nothing was shipped"
    return switch outcome.state {
    case .standby: "stopped in standby: \(what)"
    case .blocked:
      "stopped while blocked: \(what); the unshipped bytes exist only on the \(place)"
    default: "stopped with unshipped bytes: they exist only on the \(place)"
    }
  }
}
