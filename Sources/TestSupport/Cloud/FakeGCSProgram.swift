import BackupTypes
import Glibc
import HTTPTransport

/// fake-gcs-server on a free port of 127.0.0.1, in memory, with one bucket. It stops when the last reference
/// is released. `scripts/stores` installs it.
///
/// It requires no token, verifies no checksum, and ignores the conditions of plain media uploads. If several
/// writers race, all of them succeed.
package final class FakeGCSProgram: Sendable {
  package static let bucket = "lifeboat-tests"

  package let port: UInt16
  private let process: ChildProcess
  private let directory: TemporaryDirectory

  package var url: String { "http://127.0.0.1:\(port)" }

  /// The path of the server; nil if it is not installed.
  package static var executable: String? {
    let servers =
      getenv("LIFEBOAT_SERVERS").map { String(cString: $0) } ?? Checkout.root + "/.servers"
    // Its name ends with the architecture.
    let folder = servers + "/fake-gcs"
    return TestFiles.tree(folder).first { $0.hasPrefix("fake-gcs-server-linux-") }.map {
      folder + "/" + $0
    }
  }

  /// One server for all tests of a process. Each test uses its own prefix.
  package static func shared() async throws -> FakeGCSProgram {
    try await running.get {
      let server = try FakeGCSProgram()
      try await server.makeBucket()
      return server
    }
  }
  private static let running = Once<FakeGCSProgram>()

  private init() throws {
    guard let executable = FakeGCSProgram.executable else {
      throw HarnessError("fake-gcs-server is not installed: run scripts/stores")
    }
    directory = try TemporaryDirectory("fake-gcs")
    port = try freePorts(1)[0]
    process = try ChildProcess(
      executable,
      [
        "-scheme", "http", "-host", "127.0.0.1", "-port", "\(port)", "-backend", "memory",
        "-external-url", "http://127.0.0.1:\(port)", "-log-level", "error",
      ], directory: directory.path, output: .file(directory("log")), errors: .file(directory("log"))
    )
  }

  deinit { process.kill() }

  private var log: String { (try? TestFiles.text(directory("log"))) ?? "" }

  private func makeBucket() async throws {
    let client = try HTTPClient(
      connectionsMax: 1, limits: HTTPLimits(), trust: TrustStore(file: nil, origin: "a test"),
      userAgent: "test")
    try await eventually(deadline: 180, "fake-gcs-server is up") {
      guard process.isRunning else { throw HarnessError("fake-gcs-server ended: \(log)") }
      var request = HTTPRequest(
        .post, url + "/storage/v1/b", body: Array("{\"name\":\"\(Self.bucket)\"}".utf8),
        route: .direct)
      request.headers.append("Content-Type", "application/json")
      do {
        return [200, 409].contains(try await client.send(request).status)
      } catch let error as LifeboatError where error.isRetryable {
        return false
      }
    } state: {
      log
    }
  }
}
