import BackupTypes
import TestSupport
import Testing

/// Whatever keeps a command from using a store gives exit 4, with its cause and its remedy. It never says
/// "there is no backup".
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct RefusalTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    /// Words in the output: the cause and the remedy.
    var words: [String]
    var options = ""
    var environment = CloudKeys.fault
    var setup: @Sendable (inout FaultS3Server.Setup) -> Void = { _ in }
    var testDescription: String { name }

    /// Each case is tested with a restore, a listing and a shipper.
    static let all: [Case] = [
      Case(
        name: "wrong secret", words: ["SignatureDoesNotMatch", "secret access key"],
        environment: CloudKeys.keys(FaultS3Server.accessKey, "planted-wrong")),
      Case(
        name: "unknown key", words: ["InvalidAccessKeyId", "is unknown to this store"],
        environment: CloudKeys.keys("AKIANOBODY", "planted-wrong")),
      Case(
        name: "expired token", words: ["ExpiredToken", "have expired"],
        setup: { $0.expiredKeys = [FaultS3Server.accessKey] }),
      Case(
        name: "foreign token", words: ["InvalidToken", "AWS_SESSION_TOKEN"],
        environment: CloudKeys.keys(
          FaultS3Server.accessKey, FaultS3Server.secretKey, token: "planted-token")),
      Case(
        name: "tampered request", words: ["SignatureDoesNotMatch", "a proxy in between"],
        setup: { $0.tamper = { $0.headers.append(("x-amz-acl", "public-read")) } }),
      Case(
        name: "listing denied", words: ["AccessDenied", "s3:ListBucket"],
        setup: { $0.denied = ["list-type"] }),
      Case(
        name: "everything denied", words: ["AccessDenied", "s3:GetObject"],
        setup: { $0.denied = ["GET", "PUT", "POST", "DELETE", "HEAD"] }),
      Case(
        name: "missing bucket", words: ["NoSuchBucket", "create the bucket"],
        setup: { $0.buckets = [] }),
      Case(
        name: "skewed clock that can't be learned", words: ["RequestTimeTooSkewed", "clock"],
        setup: {
          $0.fault = { _ in .instead(.reply(FaultS3Server.error(403, "RequestTimeTooSkewed"))) }
        }),
      Case(
        name: "region that nobody names", words: ["PermanentRedirect", "?region="],
        setup: {
          $0.fault = { _ in .instead(.reply(FaultS3Server.error(301, "PermanentRedirect"))) }
        }),
      Case(
        name: "no credentials", words: ["no AWS credentials were found", "AWS_ACCESS_KEY_ID"],
        environment: CloudKeys.none),
      Case(
        name: "half of the credentials", words: ["only half", "AWS_SECRET_ACCESS_KEY"],
        environment: CloudKeys.none.merging(["AWS_ACCESS_KEY_ID": "AKIA"]) { $1 }),
      Case(
        name: "credentials file that is not there yet",
        words: ["does not exist", "AWS_ACCESS_KEY_ID"],
        environment: CloudKeys.none.merging(["AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/c"]) {
          $1
        }),
      Case(
        name: "token file that is not there yet",
        words: ["token file", "projected volume"],
        environment: CloudKeys.none.merging([
          "AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent/token",
          "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/backup",
        ]) { $1 }),
      Case(
        name: "token file that can't be read", words: ["can't use the file", "what is mounted"],
        environment: CloudKeys.none.merging([
          "AWS_WEB_IDENTITY_TOKEN_FILE": "/proc",
          "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/backup",
        ]) { $1 }),
      Case(
        name: "fault of the store", words: ["InternalError", "internal error"],
        setup: { $0.fault = { _ in .instead(.reply(FaultS3Server.error(500, "InternalError"))) } }),
      Case(
        name: "connections that break", words: ["broke", "proxies and firewalls"],
        setup: { $0.fault = { _ in .instead(.reset) } }),
      Case(
        name: "something else than S3", words: ["status 404", "check the endpoint"],
        setup: {
          $0.fault = { _ in .instead(.reply(LoopbackReply(404, text: "<html>no</html>"))) }
        }),
    ]
  }

  @Test(arguments: Case.all)
  func `exit 4, cause and remedy`(test: Case) async throws {
    let server = try FaultS3Server(test.setup)
    let place = try Place.on(server, options: test.options, environment: test.environment)
    try await place.checkRefused(test.words)
  }

  @Test func `a host that refuses connections`() async throws {
    let server = try FaultS3Server()
    let place = try Place.on(server)
    server.server.stop()
    try await place.checkRefused(["can't connect", "check that it is up"])
  }

  @Test func `a host name that nobody knows`() async throws {
    let place = try Place(
      repository: "s3://bucket/prefix?endpoint=https://no-such-host.invalid:9000",
      environment: CloudKeys.fault)
    try await place.checkRefused(["can't resolve the host", "DNS"])
  }

  @Test func `a certificate of an authority that is not trusted, then trusted`() async throws {
    let server = try FaultS3Server()
    let front = try await TLSFront(of: server.server.port)
    let place = try Place(
      repository: "s3://bucket/prefix?endpoint=\(front.url)", environment: CloudKeys.fault)
    try await place.checkRefused(["is not trusted", "--ca-file"])
    try Volume.writeDump(in: place.data)
    try await place.shipOnce("--ca-file", front.certificate)
    try await place.restore(into: "restored", "--ca-file", front.certificate)
    #expect(server.server.requests.allSatisfy { $0["Authorization"] != nil })
  }

  @Test func `a certificate for another name`() async throws {
    let server = try FaultS3Server()
    let front = try await TLSFront(of: server.server.port, name: "DNS:other.example")
    let place = try Place(
      repository: "s3://bucket/prefix?endpoint=\(front.url)",
      environment: CloudKeys.fault.merging(["AWS_CA_BUNDLE": front.certificate]) { $1 })
    try await place.checkRefused(["is not trusted", "for another name"])
  }

  @Test func `a payload that changes on its way is not stored`() async throws {
    let server = try FaultS3Server {
      $0.tamper = { if !$0.body.isEmpty { $0.body[$0.body.count / 2] ^= 1 } }
    }
    let place = try Place.on(server)
    try Volume.writeDump(in: place.data)
    let ship = try await place.run("ship", ["--once", "--data", place.data])
    try ship.expectRefused(["XAmzContentSHA256Mismatch", "changed in transit"])
    #expect(server.names.isEmpty)
  }

  @Test func `a reader may restore and not ship`() async throws {
    var place = try await Place.onSeaweed()
    try Volume.writeDump(in: place.data)
    place.environment = CloudKeys.seaweedReader
    let denied = try await place.run("ship", ["--once", "--data", place.data])
    try denied.expectRefused(["AccessDenied", "s3:PutObject"])
    place.environment = CloudKeys.seaweed
    try await place.shipOnce()
    place.environment = CloudKeys.seaweedReader
    try await place.restore(into: "restored")
  }

  @Test func `a clock that is hours off is learned from the store`() async throws {
    let server = try FaultS3Server { $0.clockOffset = 3 * 3_600_000 }
    let place = try Place.on(server)
    try Volume.writeDump(in: place.data)
    try await place.shipOnce()
    try await place.restore(into: "restored")
  }

  /// There is a backup. A denied or interrupted listing must not look as if there were none.
  @Test(arguments: ["list-type", "GET"])
  func `a backup that is there is not called absent`(denied: String) async throws {
    let server = try FaultS3Server()
    let place = try Place.on(server)
    try Volume.writeDump(in: place.data)
    try await place.shipOnce()
    server.change { $0.denied = [denied] }
    try await place.checkRefused(["AccessDenied", "in its policy"])
    let before = server.names
    server.change { $0.denied = [] }
    try await place.restore(into: "restored")
    #expect(server.names == before)
  }
}

/// Volumes that can be made without a server.
enum Volume {
  /// A dump of Redis 7.0.15 with three keys.
  static func writeDump(in directory: String) throws {
    let text =
      "524544495330303130fa0972656469732d76657206372e302e3135fa0a72656469732d62697473c040"
      + "fa056374696d65c22d5d036bfa08757365642d6d656dc2d8d70f00fa08616f662d62617365c000"
      + "fe00fb0300000161c00112016c01020909000000010001"
      + "01ff1001680d0d00000002008166028176" + "02ffff44fb4e22b99b3e88"
    guard let dump = bytes(hexadecimal: text) else { throw HarnessError("not hexadecimal") }
    try TestFiles.write(dump, to: directory + "/dump.rdb")
  }
}
