import BackupTypes
import CloudAuth
import GCSStorage
import HTTPTransport
import Logging
import ObjectStorage
import Replication
import S3Storage
import Synchronization
import SystemIO

/// Stores as the commands use them: with the one layer that retries.
enum Stores {
  /// Both lanes of uploads, what is listed beside them, and a renewal of credentials.
  private static let connectionsMax = 8

  /// A call that fails for longer is an outage, and told of.
  private static let outageAfter: Int64 = 5000

  /// A store without retries, and what `doctor` can tell beside it.
  struct Opened {
    var store: any ObjectStore
    /// Where credentials were looked for, after the first call; nil for a store that has none.
    var credentials: (@Sendable () -> [CredentialAttempt])?
    /// What the bucket does to objects by itself.
    var bucket: (@Sendable () async throws -> [Finding])?
    /// What is set by more than the URL, in words.
    var origins: [String] = []
  }

  /// The store that a URL names. Sends nothing.
  static func open(_ url: String, _ transport: TransportOptions) throws -> Opened {
    let environment = EnvironmentFlags.processEnvironment()
    switch repositoryScheme(url) {
    case "s3":
      let opened = try S3Repository(
        url: url, settings: AWSSettings(environment: environment),
        client: client(transport, environment), now: SystemClock.now, observe: { _ in })
      let store = opened.store
      return Opened(
        store: store, credentials: opened.explainCredentials,
        bucket: { try await store.bucketFindings() },
        origins: ["the region is from \(opened.regionOrigin)"])
    case "gs":
      let opened = try GCSRepository(
        url: url, settings: GoogleSettings(environment: environment),
        client: client(transport, environment), now: SystemClock.now, observe: { _ in })
      let store = opened.store
      return Opened(
        store: store, credentials: opened.explainCredentials,
        bucket: { try await store.bucketFindings() },
        origins: ["the endpoint is from \(opened.endpointOrigin)"])
    default: return Opened(store: try repositoryStore(url: url))
    }
  }

  private static func client(
    _ transport: TransportOptions, _ environment: [String: String]
  ) throws -> HTTPClient {
    try HTTPClient(
      connectionsMax: connectionsMax, limits: HTTPLimits(),
      trust: .resolve(caFile: transport.caFile, environment: environment),
      userAgent: "lifeboat/\(Lifeboat.version)")
  }

  /// For commands that a person waits for.
  static func interactive(_ url: String, _ transport: TransportOptions) throws -> any ObjectStore {
    interactive(try open(url, transport).store)
  }
  static func interactive(_ store: any ObjectStore) -> any ObjectStore {
    RetryingStore(
      store, policy: .init(budget: .seconds(15), permanentTries: 1), report: { _ in })
  }

  /// For a restore: what may come up is waited for, with a line every 15 s.
  static func patient(_ url: String, _ transport: TransportOptions, retryFor: Int64) throws
    -> any ObjectStore
  {
    let lastLine = Mutex<Int64>(.min)
    return RetryingStore(
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
      Console.note(
        "lifeboat: the store can't be used yet, trying again for up to "
          + "\(humanDuration(milliseconds: max(0, retryFor - since))): \(error.message)"
          + (error.cause.map { ": \($0)" } ?? ""))
    }
  }

  /// For the sidecar: without retries, every request counted.
  static func counted(
    _ url: String, _ transport: TransportOptions, _ statistics: StoreStatistics
  ) throws -> any ObjectStore {
    CountedStore(try open(url, transport).store, statistics)
  }

  /// For the sidecar: no end. An outage is told once, and so is its end; of a store that comes and goes
  /// no more than a line a minute.
  static func enduring(
    _ store: any ObjectStore, status: ShipStatus, stop: StopDeadline, logger: Logger
  ) -> any ObjectStore {
    var policy = RetryingStore.Policy.sidecar
    policy.givesUpAt = { stop.current }
    let throttle = Mutex(LogThrottle())
    return RetryingStore(store, policy: policy) { report in
      switch report {
      case .waiting(_, let error, let since):
        // A request that is lost now and then is no outage: what waiting may mend is told when it lasts.
        guard !error.isRetryable || since >= outageAfter else { return }
        _ = status.beginOutage(at: SystemClock.now().advanced(byMilliseconds: -since))
        let now = SystemClock.monotonicMilliseconds()
        if let told = throttle.withLock({ $0.begin("store", at: now) }) {
          logger.error(
            "the store can't be used: shipping waits, and catches up by itself",
            metadata: told.metadata(["cause": "\(error)"]))
        }
      case .recovered(_, let milliseconds):
        guard status.endOutage() else { return }
        let now = SystemClock.monotonicMilliseconds()
        if let told = throttle.withLock({ $0.end("store", at: now) }) {
          logger.notice(
            "the store works again",
            metadata: told.metadata(["after": "\(humanDuration(milliseconds: milliseconds))"]))
        }
      }
    }
  }
}

extension LogThrottle.Line {
  /// The facts of a line, with how often its cause came and went unsaid before it.
  func metadata(_ facts: Logger.Metadata) -> Logger.Metadata {
    guard leftOut > 0 else { return facts }
    return facts.merging(["left-out": "\(leftOut) more since the last line"]) { $1 }
  }
}

extension RestoreCommand {
  /// What `--repo` takes from anywhere: a store's URL with its options, a directory from its root.
  static func url(_ given: String, _ store: any ObjectStore) -> String {
    switch repositoryScheme(given) {
    // As a path: in a URL of it some characters would have to be written otherwise.
    case nil, "file": store.location.replacing("file://", with: "", maxReplacements: 1)
    default: given
    }
  }
}
