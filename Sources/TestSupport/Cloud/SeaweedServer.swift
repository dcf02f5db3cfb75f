import BackupTypes
import CloudAuth
import Codec
import Glibc
import HTTPTransport
import Synchronization
import SystemIO

/// SeaweedFS with its S3 gateway, on free ports of 127.0.0.1, with a directory of its own. It can be stopped,
/// started again and frozen. It stops when the last reference is released. `scripts/stores` installs it.
package final class SeaweedServer: Sendable {
  package static let accessKey = "lifeboat-admin"
  package static let secretKey = "lifeboat-admin-secret"
  /// May only read and list.
  package static let readerKey = "lifeboat-reader"
  package static let readerSecret = "lifeboat-reader-secret"
  /// The suffix of virtual hosts: `bucket.s3.localhost`.
  package static let domain = "s3.localhost"

  package let port: UInt16
  private let process: Mutex<ChildProcess>
  private let executable: String
  private let arguments: [String]
  private let directory: TemporaryDirectory

  package var url: String { "http://127.0.0.1:\(port)" }

  /// The path of the server; nil if it is not installed.
  package static var executable: String? {
    let servers =
      getenv("LIFEBOAT_SERVERS").map { String(cString: $0) } ?? Checkout.root + "/.servers"
    return TestFiles.exists(servers + "/seaweedfs/weed") ? servers + "/seaweedfs/weed" : nil
  }

  /// The bucket of the shared server, for all tests. Each test uses its own prefix. The first write to a new
  /// bucket creates its volumes, which can take more than ten seconds.
  package static let bucket = "lifeboat-tests"

  /// One server for all tests of a process, since it takes seconds to start. It is up, and its bucket has
  /// been written to.
  package static func shared() async throws -> SeaweedServer {
    try await running.get {
      let server = try await SeaweedServer()
      try await server.makeBucket()
      return server
    }
  }
  private static let running = Once<SeaweedServer>()

  /// - Parameter keys: further keys that may do everything, with their secrets.
  package init(keys: [(key: String, secret: String)] = []) async throws {
    guard let executable = SeaweedServer.executable else {
      throw HarnessError("SeaweedFS is not installed: run scripts/stores")
    }
    directory = try TemporaryDirectory("seaweed")
    let identities = directory("identities.json")
    try TestFiles.write(SeaweedServer.identities(keys), to: identities)
    let data = try directory.makeDirectory("data")
    let ports = try freePorts(8)
    port = ports[0]
    self.executable = executable
    arguments = [
      "server", "-dir=\(data)", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3",
      "-s3.port=\(ports[0])", "-s3.config=\(identities)",
      "-s3.domainName=\(SeaweedServer.domain)",
      "-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
      "-s3.port.grpc=\(ports[1])", "-master.telemetry=false", "-master.volumeSizeLimitMB=64",
      "-volume.max=0", "-volume.preStopSeconds=1", "-master.port=\(ports[2])",
      "-master.port.grpc=\(ports[3])",
      "-volume.port=\(ports[4])", "-volume.port.grpc=\(ports[5])", "-filer.port=\(ports[6])",
      "-filer.port.grpc=\(ports[7])",
    ]
    process = Mutex(try SeaweedServer.run(executable, arguments, in: directory))
  }

  private static func run(
    _ executable: String, _ arguments: [String], in directory: TemporaryDirectory
  ) throws -> ChildProcess {
    try ChildProcess(
      executable, arguments, directory: directory.path, output: .file(directory("log")),
      errors: .file(directory("log")))
  }

  deinit { running.kill() }

  private var running: ChildProcess { process.withLock { $0 } }

  /// The server's output, for failed tests.
  package var log: String { (try? TestFiles.text(directory("log"))) ?? "" }
  package var isRunning: Bool { running.isRunning }

  /// Sends SIGTERM and waits until it has exited.
  package func stop() async throws {
    running.signal(SIGTERM)
    try await running.wait(deadline: 120)
  }

  /// Starts it again with the stored data.
  package func start() throws {
    try process.withLock { process in
      guard !process.isRunning else { return }
      process = try SeaweedServer.run(executable, arguments, in: directory)
    }
  }

  /// Until it is thawed, it accepts connections but does not answer.
  package func freeze() { running.signal(SIGSTOP) }
  package func thaw() { running.signal(SIGCONT) }

  private static func identities(_ keys: [(key: String, secret: String)]) -> String {
    let credentials = ([(accessKey, secretKey)] + keys).map {
      "{\"accessKey\":\"\($0.0)\",\"secretKey\":\"\($0.1)\"}"
    }
    return """
      {"identities":[
      {"name":"admin","credentials":[\(credentials.joined(separator: ","))],
       "actions":["Admin","Read","Write","List","Tagging"]},
      {"name":"reader","credentials":[{"accessKey":"\(readerKey)","secretKey":"\(readerSecret)"}],
       "actions":["Read","List"]}]}
      """
  }
}

/// A value that is made once, by the first caller, while the others wait.
final class Once<Value: Sendable>: Sendable {
  private let task = Mutex<Task<Value, any Error>?>(nil)

  func get(_ make: @escaping @Sendable () async throws -> Value) async throws -> Value {
    let task = task.withLock { task in
      let running = task ?? Task { try await make() }
      task = running
      return running
    }
    return try await task.value
  }
}

extension SeaweedServer {
  /// Makes the bucket and writes to it. The write creates its volumes.
  package func makeBucket() async throws {
    try await put("/" + SeaweedServer.bucket)
    try await put("/" + SeaweedServer.bucket + "/warm")
  }

  /// Whether a write succeeds now.
  package func answers() async throws -> Bool {
    do {
      return try await reply(to: "/" + SeaweedServer.bucket + "/warm").status == 200
    } catch let error as LifeboatError where error.isRetryable {
      return false
    }
  }

  /// PUTs an empty body to a path, which makes a bucket or an empty object. Waits until this works.
  private func put(_ path: String) async throws {
    var last = ""
    try await eventually(deadline: 90, "PUT of \(path) on SeaweedFS") {
      guard isRunning else { throw HarnessError("SeaweedFS ended: \(log.suffix(2000))") }
      do {
        let answer = try await reply(to: path)
        last = "\(answer.status) \(String(decoding: answer.body, as: UTF8.self))"
        return answer.status == 200
      } catch let error as LifeboatError where error.isRetryable {
        last = error.description
        return false
      }
    } state: {
      last
    }
  }

  /// The reply to a PUT with an empty body.
  private func reply(to path: String) async throws -> HTTPResponse {
    let client = try HTTPClient(
      connectionsMax: 1, limits: HTTPLimits(), trust: TrustStore(file: nil, origin: "a test"),
      userAgent: "test")
    var request = HTTPRequest(.put, url + path, route: .direct)
    SignedRequest(
      path: path, query: [], payloadDigest: SHA256Hasher.digest(of: [UInt8]()).hexadecimal,
      scope: SigV4.Scope(time: SystemClock.now(), region: "us-east-1", service: "s3")
    ).sign(
      &request,
      with: AWSCredentials(
        accessKeyID: SeaweedServer.accessKey, secretAccessKey: SeaweedServer.secretKey))
    return try await client.send(request)
  }
}
