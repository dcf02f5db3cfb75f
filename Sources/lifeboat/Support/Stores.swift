import AzureStorage
import BackupFormat
import BackupTypes
import CloudAuth
import GCSStorage
import HTTPTransport
import Logging
import ObjectStorage
import RepositoryAccess
import S3Storage
import Shipping
import Synchronization
import SystemIO

/// Stores as the commands use them, with the only layer that retries.
enum Stores {
  /// Besides the objects in flight: the record lane, the auditor, parallel listings, a renewal of
  /// credentials.
  private static let otherConnections = 6

  /// A store without retries, and what `doctor` can report about it.
  struct Opened {
    var store: any ObjectStore
    /// Where credentials were searched, after the first call; nil for a store that needs none.
    var credentials: (@Sendable () -> [CredentialAttempt])?
    /// What the bucket does to objects by itself.
    var bucket: (@Sendable () async throws -> [Finding])?
    /// The store's clock minus this machine's, in milliseconds, from the last reply.
    var clockOffset: @Sendable () -> Int64? = { nil }
    /// Settings that do not come from the URL alone, in words.
    var origins: [String] = []
  }

  /// The store that a URL names. Sends nothing.
  /// - Parameter environment: the variables that the vendors' own tools read.
  static func open(
    _ url: String, _ transport: TransportOptions,
    environment: [String: String] = EnvironmentFlags.processEnvironment()
  ) throws -> Opened {
    // Kubernetes leaves a name that it does not know as it is. Such a path would be a repository without
    // backups.
    if url.contains("$(") {
      throw LifeboatError(
        .usage,
        "the repository \"\(printable(withoutSignatures(url)))\" contains a variable that was not"
          + " replaced",
        hint: "set it in the pod: LIFEBOAT_REPO_BASE is a key of the ConfigMap lifeboat")
    }
    switch repositoryScheme(url) {
    case "s3":
      let opened = try S3Repository(
        url: url, settings: AWSSettings(environment: environment),
        client: client(transport, environment), now: SystemClock.now, observe: { _ in })
      let store = opened.store
      return Opened(
        store: store, credentials: opened.explainCredentials,
        bucket: { try await store.bucketFindings(probe: probe()) },
        clockOffset: { store.clockOffset },
        origins: ["the region is from \(opened.regionOrigin)"])
    case "gs":
      let opened = try GCSRepository(
        url: url, settings: GoogleSettings(environment: environment),
        client: client(transport, environment), now: SystemClock.now, observe: { _ in })
      let store = opened.store
      return Opened(
        store: store, credentials: opened.explainCredentials,
        bucket: { try await store.bucketFindings() }, clockOffset: { store.clockOffset },
        origins: ["the endpoint is from \(opened.endpointOrigin)"])
    case "az":
      let opened = try AzureRepository(
        url: url, settings: AzureSettings(environment: environment),
        client: client(transport, environment), now: SystemClock.now, observe: { _ in })
      let store = opened.store
      return Opened(
        store: store, credentials: opened.explainCredentials,
        bucket: { try await store.bucketFindings() }, clockOffset: { store.clockOffset },
        origins: ["the endpoint is from \(opened.endpointOrigin)"])
    default: return Opened(store: try repositoryStore(url: url))
    }
  }

  /// An unused name, where readers ignore objects. A later probe removes what is left there.
  private static func probe() -> String {
    ObjectPath.operation(.probes, id: hexadecimal(secureRandomBytes(16)) + "-overwritten").text
  }

  private static func client(
    _ transport: TransportOptions, _ environment: [String: String]
  ) throws -> HTTPClient {
    try HTTPClient(
      connectionsMax: MemoryBound.current.transfers + otherConnections, limits: HTTPLimits(),
      trust: .resolve(caFile: transport.caFile, environment: environment),
      userAgent: "lifeboat/\(Lifeboat.version)")
  }

  /// For commands for which a person waits.
  static func interactive(_ url: String, _ transport: TransportOptions) throws -> any ObjectStore {
    interactive(try open(url, transport).store)
  }
  static func interactive(_ store: any ObjectStore) -> any ObjectStore {
    WatchedStore(
      base: RetryingStore(
        store, policy: .init(budget: .seconds(15), permanentTries: 1), report: { _ in }))
  }

  /// For a restore: retries what may become available, and logs a line every 15 s.
  static func patient(_ url: String, _ transport: TransportOptions, retryFor: Int64) throws
    -> any ObjectStore
  {
    let lastLine = Mutex<Int64>(.min)
    let retrying = RetryingStore(
      try open(url, transport).store,
      policy: .init(budget: .milliseconds(retryFor), permanentTries: 3)
    ) { report in
      guard case .waiting(_, let error, let since) = report else { return }
      let now = SystemClock.monotonicMilliseconds()
      let isDue = lastLine.withLock { last in
        guard last == .min || now - last >= 15_000 else { return false }
        last = now
        return true
      }
      guard isDue else { return }
      let left = humanDuration(milliseconds: max(0, retryFor - since))
      Console.note(
        (error.isDenied
          ? "lifeboat: the store denies access; retrying in case it was granted just now: "
          : "lifeboat: the store is unavailable; retrying for up to \(left): ")
          + error.inOneLine)
    }
    return WatchedStore(base: retrying)
  }

  /// For the sidecar: without retries; every request is counted.
  static func counted(
    _ url: String, _ transport: TransportOptions, _ statistics: StoreStatistics
  ) throws -> Opened {
    var opened = try open(url, transport)
    opened.store = CountedStore(opened.store, statistics)
    return opened
  }

  /// For the sidecar: retries without a limit. The beginning and the end of an outage are logged once; a
  /// store that comes and goes causes at most one line a minute.
  static func enduring(
    _ opened: Opened, status: ShipStatus, stop: StopRequest, logger: Logger
  ) -> any ObjectStore {
    var policy = RetryingStore.Policy.sidecar
    policy.givesUpAt = { stop.retriesEnd }
    let outage = Mutex(StoreOutage())
    let log = OutageLog(status, logger)
    return RetryingStore(opened.store, policy: policy) { report in
      let now = SystemClock.monotonicMilliseconds()
      switch report {
      case .waiting(let operation, let error, let since):
        let line = outage.withLock { $0.waits(operation, error, since: since, now: now) }
        if operation != .delete { status.turn() }
        switch line {
        case .began(let problem)?: log.began(problem, error, since: since, now: now)
        case .changed(let problem)?: log.changed(problem, error, now: now)
        default: break
        }
      case .succeeded(let operation):
        let offset = opened.clockOffset()
        let lines = outage.withLock { outage in
          [
            outage.succeeded(operation, now: now),
            offset.flatMap { outage.saw(clockOffset: $0, now: now) },
          ]
        }
        for line in lines.compactMap({ $0 }) { log.tell(line, now: now) }
      }
    }
  }
}

/// Reports the results of a store's calls in the log and the status, for a store that comes and goes at
/// most one line a minute.
private final class OutageLog: Sendable {
  private let status: ShipStatus
  private let logger: Logger
  private let throttle = Mutex(LogThrottle())

  init(_ status: ShipStatus, _ logger: Logger) {
    self.status = status
    self.logger = logger
  }

  func began(_ problem: StoreOutage.Problem, _ error: LifeboatError, since: Int64, now: Int64) {
    status.update {
      $0.outage = SystemClock.now().advanced(byMilliseconds: -since)
      $0.outageProblem = problem
    }
    guard let told = throttle.withLock({ $0.begin("store", at: now) }) else { return }
    logger.error("\(problem.line)", metadata: told.metadata(error.logged))
  }

  /// The cause of the outage has changed.
  func changed(_ problem: StoreOutage.Problem, _ error: LifeboatError, now: Int64) {
    status.update { $0.outageProblem = problem }
    guard let told = throttle.withLock({ $0.line(problem.line, at: now) }) else { return }
    logger.error("\(problem.line)", metadata: told.metadata(error.logged))
  }

  func tell(_ line: StoreOutage.Line, now: Int64) {
    switch line {
    case .began, .changed: break  // told with their cause
    case .ended(let milliseconds):
      status.update {
        $0.outage = nil
        $0.outageProblem = nil
      }
      guard let told = throttle.withLock({ $0.end("store", at: now) }) else { return }
      logger.notice(
        "the store is available again",
        metadata: told.metadata(["after": "\(humanDuration(milliseconds: milliseconds))"]))
    case .clocksDiffer(let offset):
      let size = humanDuration(milliseconds: abs(offset))
      logger.warning(
        "this machine's clock differs from the store's: the times of restore points are off by as much",
        metadata: [
          "found": "\(size) \(offset > 0 ? "behind" : "ahead")",
          "remedy": "set this machine's clock (NTP)",
        ])
    case .clocksAgree: logger.notice("this machine's clock agrees with the store's again")
    }
  }
}

extension LogThrottle.Line {
  /// The facts of a line, with how often its cause came and went without being logged before.
  func metadata(_ facts: Logger.Metadata) -> Logger.Metadata {
    guard leftOut > 0 else { return facts }
    return facts.merging(["left-out": "\(leftOut) more since the last line"]) { $1 }
  }
}

extension RestoreCommand {
  /// The value of `--repo` in a form that works from anywhere: a store's URL with its options, or an
  /// absolute directory.
  static func url(_ given: String, _ store: any ObjectStore) -> String {
    switch repositoryScheme(given) {
    // As a path: a URL would need escapes for some characters.
    case nil, "file": store.location.replacing("file://", with: "", maxReplacements: 1)
    default: given
    }
  }
}
