import ArgumentParser
import Auditing
import BackupTypes
import HTTPTransport
import Logging
import ObjectStorage
import ReplicationLink
import RepositoryAccess
import Shipping
import SystemIO
import SystemPackage
import WriterLogic

/// The server of a replication link, and how to reach it.
struct LinkServerOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Be a replica of this server, and back up its stream of commands instead of files.",
      discussion: """
        redis://[user@]host[:port], rediss://... with TLS, or redis-sentinel://host[:port],host[:port]/MASTER. \
        It needs no volume and no AOF. Lifeboat only acknowledges what is durable in the repository, so \
        WAIT 1 means that a write is backed up. Not with --data. The password is set as \
        LIFEBOAT_REDIS_PASSWORD, or with --redis-password-file. An ACL user needs +psync +replconf +info.
        """, valueName: "url"))
  var replicaOf: String?
  @Option(
    help: ArgumentHelp("The file that holds the server's password.", valueName: "path"),
    completion: .file())
  var redisPasswordFile: String?
  @Option(
    name: .customLong("redis-ca-file"),
    help: ArgumentHelp(
      "The CA certificates that the server's certificate is checked with. Default: the system's.",
      valueName: "path"), completion: .file())
  var redisCAFile: String?
  @Option(
    help: ArgumentHelp("The client certificate, if the server requires one.", valueName: "path"),
    completion: .file())
  var redisCertFile: String?
  @Option(
    help: ArgumentHelp("The key of the client certificate.", valueName: "path"), completion: .file()
  )
  var redisKeyFile: String?

  static let passwordVariable = "LIFEBOAT_REDIS_PASSWORD"

  var isGiven: Bool { replicaOf != nil }

  func url() throws -> LinkURL {
    guard let replicaOf else { throw LifeboatError(.usage, "--replica-of is missing") }
    return try LinkURL(replicaOf)
  }

  /// - Parameter port: what is announced.
  func server(port: Int?) throws -> LinkServer {
    let url = try url()
    let trust =
      if let redisCAFile { TrustStore(file: redisCAFile, origin: "--redis-ca-file") } else {
        try TrustStore.resolve(caFile: nil, environment: EnvironmentFlags.processEnvironment())
      }
    let dialer = LinkDialer(
      url: url, tls: LinkTLS(trust: trust, certificate: redisCertFile, key: redisKeyFile),
      password: try password(), limits: LinkLimits(connect: 10_000, reply: 10_000))
    return LinkServer(url, dialer, port: port)
  }

  /// Read once. As with every replica, a changed password needs a restart.
  func password() throws -> Redacted? {
    if let redisPasswordFile {
      let file = try OpenFile(reading: FilePath(redisPasswordFile), links: .follow)
      var bytes = [UInt8](repeating: 0, count: 4096)
      let count = try bytes.withUnsafeMutableBytes { buffer throws(LifeboatError) in
        try file.read(into: buffer, at: 0)
      }
      let text = String(decoding: bytes[..<count], as: UTF8.self)
      return Redacted(String(text.prefix { !$0.isNewline }))
    }
    return EnvironmentFlags.processEnvironment()[LinkServerOptions.passwordVariable].map {
      Redacted($0)
    }
  }
}

/// How `ship --replica-of` replicates.
struct LinkOptions: ParsableArguments {
  @OptionGroup var server: LinkServerOptions

  @Option(
    help: ArgumentHelp(
      "While a WAIT is pending: upload at most one log object per interval.",
      valueName: "time"))
  var ackInterval = Milliseconds(100)

  @Option(
    help: ArgumentHelp(
      """
      A directory with room for a full copy, so that a slow store does not delay the server's child \
      process.
      """,
      discussion: """
        Data that arrives faster than the store accepts it waits there, in an unnamed, unencrypted file of \
        at most 90 % of the free space. Without it, the server has to wait, and needs more memory meanwhile.
        """, valueName: "path"), completion: .directory)
  var spool: String?
  @Option(
    help: ArgumentHelp(
      "Take a newer full copy when the log since the last one has this percentage of its size.",
      valueName: "percent"))
  var baseRatio: UInt64 = 100
  @Option(
    help: ArgumentHelp(
      "Take no newer full copy before the log since the last copy has this size.",
      valueName: "bytes"))
  var baseMin = Bytes(64 << 20)

  @Option(
    help: ArgumentHelp(
      "The port on which Lifeboat answers as a replica that must never be promoted; 0: any free one.",
      discussion: """
        It is announced to the server. If this port is not reachable, a FAILOVER without a target could \
        choose Lifeboat, and a Sentinel would report it as down.
        """, valueName: "port"))
  var replicaPort = 0

  /// The memory that the stream of a link leaves to the shipper.
  func bound(_ repository: RepositoryOptions) throws(LifeboatError) -> MemoryBound {
    let bound = try repository.memoryBound()
    guard server.isGiven else { return bound }
    let least = MemoryBound.least + MemoryBound.linkLeast
    guard bound.bytes >= least else {
      throw LifeboatError(
        .usage, "--memory \(humanBytes(bound.bytes)) is too little for --replica-of",
        hint: "at least \(humanBytes(least))")
    }
    return MemoryBound(bytes: bound.bytes - bound.linkBytes)
  }

  /// Checks that it is writable now. If that changes later, full copies do without it.
  private static func checked(_ directory: FilePath) throws -> FilePath {
    do { _ = try CopySpool(in: directory) } catch {
      throw LifeboatError(
        .usage, "--spool \(printable(directory.string)) can't be used", cause: error.inOneLine,
        hint: "name a directory that exists, can be written to, and has room for a full copy")
    }
    return directory
  }

  /// A shipper whose source is the link.
  func shipper(
    _ options: Shipper.Options, _ bound: MemoryBound, store: any ObjectStore, status: ShipStatus,
    stop: StopRequest, logger: Logger
  ) async throws -> (shipper: Shipper, responder: ReplicaResponder) {
    let state = LinkState { figures in status.update { $0.link = figures } }
    let time = SystemClock()
    let place = try server.url().place
    let runID = hexadecimal(secureRandomBytes(20))
    // A Sentinel authenticates with the password that its replicas share.
    let credentials = try server.password().map {
      LinkCredentials(user: try server.url().user, password: $0)
    }
    let responder = try await ReplicaResponder.start(
      host: nil, port: replicaPort, credentials: credentials,
      facts: { state.responderFacts(runID: runID) },
      hint: { address in
        // A link to one address stays connected even if that server becomes a replica, since its stream is
        // the same.
        guard case .sentinels = place else { return }
        logger.notice(
          "a Sentinel announced another primary", metadata: ["address": "\(address)"])
        state.noteOtherPrimary()
      })
    logger.info("answering as a replica", metadata: ["port": "\(responder.port)"])
    let linked = try server.server(port: responder.port)
    let linkOptions = LinkSource.Options(
      heldBytes: bound.linkBytes, baseRatio: baseRatio, baseMin: baseMin.value,
      spool: try spool.map { try LinkOptions.checked(FilePath($0)) })
    let recall: @Sendable () async throws -> LinkMemory? = {
      guard
        let repository = try await Repository.open(
          store, keys: options.keys, compression: options.compression)
      else { return nil }
      return try await LinkMemory.read(repository)
    }
    let shipper = Shipper(
      options: options, store: store, status: status, stop: stop, logger: logger, time: time,
      audited: LinkAudit(linked, state, time: time)
    ) { () throws(LifeboatError) in
      LinkSource(
        linked, options: linkOptions, state: state, time: time, logger: logger, recall: recall)
    }
    return (shipper, responder)
  }
}
