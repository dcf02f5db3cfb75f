import BackupTypes
import CloudAuth
import Codec
import Glibc
import HTTPTransport
import SystemIO

/// S3 servers of `scripts/test --stores all`, each installed by `scripts/stores --all`, on a free port of
/// 127.0.0.1, with one bucket and one key. Each stops when its last reference is released.
///
/// Their tests run if they are installed and `LIFEBOAT_STORES` is `all`. They are slow to start or to answer,
/// and most changes do not need them.
package final class OtherS3Server: Sendable {
  package enum Kind: String, Sendable, CaseIterable {
    /// `rclone serve s3`: ignores `If-None-Match`, and accepts a body that does not match the signature.
    case rclone
    /// Ceph's RADOS Gateway: strict about the digest of a body.
    case ceph
  }

  package static let accessKey = "lifeboat-admin"
  package static let secretKey = "lifeboat-admin-secret"
  package static let bucket = "lifeboat-tests"

  package let kind: Kind
  package let port: UInt16
  private let process: ChildProcess
  private let directory: TemporaryDirectory

  package var url: String { "http://127.0.0.1:\(port)" }

  package static func isWanted(_ kind: Kind) -> Bool {
    getenv("LIFEBOAT_STORES").map { String(cString: $0) } == "all" && executable(kind) != nil
  }

  private static func executable(_ kind: Kind) -> String? {
    let servers =
      getenv("LIFEBOAT_SERVERS").map { String(cString: $0) } ?? Checkout.root + "/.servers"
    let path: String
    switch kind {
    case .rclone: path = servers + "/rclone/rclone"
    case .ceph:
      path = Checkout.root + "/scripts/ceph"
      guard TestFiles.exists("/usr/bin/radosgw") else { return nil }
    }
    return TestFiles.exists(path) ? path : nil
  }

  /// One server of each kind for all tests of a process. Each test uses its own prefix.
  package static func shared(_ kind: Kind) async throws -> OtherS3Server {
    try await (kind == .rclone ? rclone : ceph).get {
      let server = try OtherS3Server(kind)
      try await server.makeBucket()
      return server
    }
  }
  private static let rclone = Once<OtherS3Server>()
  private static let ceph = Once<OtherS3Server>()

  private init(_ kind: Kind) throws {
    guard let executable = OtherS3Server.executable(kind) else {
      throw HarnessError("\(kind.rawValue) is not installed: run scripts/stores --all")
    }
    self.kind = kind
    directory = try TemporaryDirectory(kind.rawValue)
    port = try freePorts(1)[0]
    let arguments =
      switch kind {
      case .rclone:
        [
          "serve", "s3", "--config", "/dev/null", "--addr", "127.0.0.1:\(port)", "--auth-key",
          "\(OtherS3Server.accessKey),\(OtherS3Server.secretKey)",
          try directory.makeDirectory("data"),
        ]
      case .ceph:
        [directory("c"), "\(port)", OtherS3Server.accessKey, OtherS3Server.secretKey]
      }
    process = try ChildProcess(
      executable, arguments, directory: directory.path, output: .file(directory("log")),
      errors: .file(directory("log")))
  }

  deinit { process.kill() }

  private func makeBucket() async throws {
    let client = try HTTPClient(
      connectionsMax: 1, limits: HTTPLimits(), trust: TrustStore(file: nil, origin: "a test"),
      userAgent: "test")
    var last = ""
    try await eventually(deadline: 180, "\(kind.rawValue) has a bucket") {
      guard process.isRunning else {
        let log = (try? TestFiles.text(directory("log"))) ?? ""
        throw HarnessError("\(kind.rawValue) ended: \(log.suffix(2000))")
      }
      let path = "/" + OtherS3Server.bucket
      var request = HTTPRequest(.put, url + path, route: .direct)
      SignedRequest(
        path: path, query: [], payloadDigest: SHA256Hasher.digest(of: [UInt8]()).hexadecimal,
        scope: SigV4.Scope(time: SystemClock.now(), region: "us-east-1", service: "s3")
      ).sign(
        &request,
        with: AWSCredentials(
          accessKeyID: OtherS3Server.accessKey, secretAccessKey: OtherS3Server.secretKey))
      do {
        let reply = try await client.send(request)
        last = "\(reply.status) \(String(decoding: reply.body, as: UTF8.self))"
        return reply.status == 200
      } catch let error as LifeboatError where error.isRetryable {
        last = error.description
        return false
      }
    } state: {
      last
    }
  }
}
