import BackupTypes
import RepositoryAccess
import Synchronization
import SystemIO
import TestSupport
import Testing

/// Credentials that expire while `ship` runs, from servers that simulate the vendors'. No secret appears
/// anywhere.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct RotationTests {
  enum Vendor: CaseIterable, Sendable { case webIdentity, container, instance, process }

  @Test(arguments: Vendor.allCases)
  func `ship goes on through every rotation, and no secret is seen`(vendor: Vendor) async throws {
    let server = try FaultS3Server { $0.keys = [:] }
    let desk = try Desk(vendor, for: server)
    var place = try Place.on(server, environment: desk.environment)
    // The key is also a secret that no helper may see.
    let key = Place.newKey()
    place.environment[KeySource.variable] = key
    let test = CrashTests.Case(version: .valkey9_1, appendOnly: true, fsync: "always")
    let redis = try await RedisServer.start(
      test.version, directory: place.data, options: test.options)
    var options = TransactionalLoad.Options()
    options.pause = .milliseconds(2)
    let load = try TransactionalLoad.start(on: redis, options)
    let ship = try place.ship("--ship-interval", "200ms", "--json")
    try await eventually(
      deadline: 120, "four sets of credentials were used",
      condition: {
        if let end = ship.end { throw HarnessError("ship ended (\(end)): \(ship.errorText)") }
        return Set(desk.used).count >= 4
      }, state: { "\(desk.used.count) requests with \(Set(desk.used)); \(ship.errorText)" })
    _ = try await load.stop()
    _ = try await redis.shutdown()
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    #expect(end.count("the store is unavailable") == 0, "a rotation is no outage: \(end)")
    let step = try await place.restoredStep(test, load, into: "restored")
    #expect(step == load.acknowledged)

    // Secrets leak in errors.
    var texts = [end.description]
    server.change { $0.denied = ["GET"] }
    for arguments in [
      ["list", "--json"], ["restore", "--data", place.folder("x"), "--retry-for", "0"],
    ] {
      let result = try await place.run(arguments[0], Array(arguments.dropFirst()))
      #expect(result.exit == .storeUnavailable, "\(result)")
      texts.append(result.description)
    }
    texts.append(desk.helperEnvironment)
    for text in texts {
      #expect(!text.contains("planted") && !text.contains(key.dropFirst(15).prefix(64)), "\(text)")
    }
    for name in server.names { #expect(!name.contains("planted")) }
    if vendor == .process {
      #expect(desk.helperEnvironment.contains("PATH="), "the helper told nothing")
    }
  }

  @Test func `no core is dumped`() async throws {
    let server = try FaultS3Server()
    let place = try Place.on(server)
    let ship = try place.ship()
    try await eventually("it runs") { ship.errorText.contains(" started") }
    let limits = try TestFiles.text("/proc/\(ship.process.pid)/limits")
    let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max core file") })
    #expect(
      line.split(whereSeparator: \.isWhitespace).dropFirst(4).prefix(2).allSatisfy { $0 == "0" },
      "\(line)")
  }
}

/// Hands out credentials. Each set is valid for some seconds, and the next set invalidates it.
private final class Desk: Sendable {
  private static let lifetime: Int64 = 6000

  let environment: [String: String]
  private let server: FaultS3Server
  private let folder: TemporaryDirectory
  private let vendor: LoopbackServer
  private let issued = Issued()

  private final class Issued: Sendable { let count = Mutex(0) }

  init(_ kind: RotationTests.Vendor, for server: FaultS3Server) throws {
    self.server = server
    let folder = try TemporaryDirectory("desk")
    self.folder = folder
    let issued = issued
    vendor = try LoopbackServer { request in
      Desk.reply(request, issued, server)
    }
    var environment = CloudKeys.none
    environment["AWS_REGION"] = "us-east-1"
    try TestFiles.write("planted-web-identity\n", to: folder("token"))
    switch kind {
    case .webIdentity:
      environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = folder("token")
      environment["AWS_ROLE_ARN"] = "arn:aws:iam::123456789012:role/backup"
      environment["AWS_ENDPOINT_URL_STS"] = vendor.url
    case .container:
      environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = vendor.url + "/container"
      environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = folder("token")
    case .instance:
      environment["AWS_EC2_METADATA_DISABLED"] = nil
      environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = vendor.url + "/"
    case .process:
      for number in 1...200 { Desk.register(number, server) }
      try TestFiles.write(Desk.helper, to: folder("helper"))
      try TestFiles.write(
        "[default]\ncredential_process = /bin/sh \(folder("helper")) \(folder.path)\n",
        to: folder("config"))
      environment["AWS_CONFIG_FILE"] = folder("config")
      // Our variables that a helper must not see.
      environment["AWS_SESSION_TOKEN"] = "planted-in-the-environment"
      environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "planted-in-the-environment"
    }
    self.environment = environment
  }

  /// The access keys of the requests that have been answered so far.
  var used: [String] {
    server.server.requests.compactMap { request in
      let words = request["Authorization"]?.split(separator: "Credential=").last
      return words?.split(separator: "/").first.map(String.init)
    }
  }

  /// The environment of the helper program, over all its runs.
  var helperEnvironment: String { (try? TestFiles.text(folder("environment"))) ?? "" }

  private static func secret(_ number: Int) -> String { "planted/secret+\(number)" }
  private static func token(_ number: Int) -> String { "planted-session-\(number)" }

  private static func register(_ number: Int, _ server: FaultS3Server) {
    server.change {
      $0.keys["KEY\(number)"] = (secret(number), token(number))
    }
  }

  private static func reply(
    _ request: LoopbackRequest, _ issued: Issued, _ server: FaultS3Server
  ) -> LoopbackAction {
    // IMDSv2 needs two requests before the one for the credentials.
    let path = "/latest/meta-data/iam/security-credentials/"
    if request.method == "PUT" { return .reply(LoopbackReply(200, text: "planted-imds-token")) }
    if request.target == path { return .reply(LoopbackReply(200, text: "role")) }
    let number = issued.count.withLock { count in
      count += 1
      return count
    }
    register(number, server)
    server.change { $0.expiredKeys.insert("KEY\(number - 1)") }
    let end = SystemClock.now().advanced(byMilliseconds: lifetime)
    if request.method == "POST" {
      return .reply(
        LoopbackReply(
          200,
          text: """
            <AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
            <AccessKeyId>KEY\(number)</AccessKeyId>
            <SecretAccessKey>\(secret(number))</SecretAccessKey>
            <SessionToken>\(token(number))</SessionToken><Expiration>\(end)</Expiration>
            </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>
            """))
    }
    return .reply(
      LoopbackReply(
        200,
        text: """
          {"Code": "Success", "AccessKeyId": "KEY\(number)", "SecretAccessKey": "\(secret(number))",
          "Token": "\(token(number))", "Expiration": "\(end)"}
          """))
  }

  private static let helper = """
    number=$(($(cat "$1/count" 2>/dev/null || echo 0) + 1))
    echo "$number" >"$1/count"
    env >>"$1/environment"
    echo "planted on standard error" >&2
    printf '{"Version": 1, "AccessKeyId": "KEY%s", "SecretAccessKey": "planted/secret+%s",' \\
      "$number" "$number"
    printf '"SessionToken": "planted-session-%s", "Expiration": "%s"}' "$number" \\
      "$(date -u -d '+6 seconds' +%Y-%m-%dT%H:%M:%SZ)"
    """
}
