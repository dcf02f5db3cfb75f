import BackupTypes
import HTTPTransport
import RedisFormats
import ReplicationLink
import TestSupport
import Testing

/// A real Sentinel of one primary, `mymaster`. It ends with this object.
final class Sentinel: Sendable {
  let port: UInt16
  private let directory: TemporaryDirectory
  private let process: ChildProcess
  private let tls: LinkTLS?
  private let credentials: LinkCredentials?
  var log: String { (try? TestFiles.text(directory("log"))) ?? "" }

  /// - Parameters:
  ///   - settings: more lines of its configuration.
  ///   - tls: if it is given, the Sentinel has its port with TLS only.
  ///   - credentials: those with which this object asks it.
  init(
    _ version: ServerVersion, of primary: LinkAddress, settings: [String] = [], tls: LinkTLS? = nil,
    credentials: LinkCredentials? = nil
  ) async throws {
    directory = try TemporaryDirectory("sentinel")
    port = try freePorts(1)[0]
    self.tls = tls
    self.credentials = credentials
    let ports = tls == nil ? ["port \(port)"] : ["port 0", "tls-port \(port)"]
    let lines =
      ports + [
        "bind 127.0.0.1", "dir \(directory.path)",
        "sentinel monitor mymaster \(primary.host) \(primary.port) 1",
        "sentinel down-after-milliseconds mymaster 2000",
        "sentinel failover-timeout mymaster 20000",
      ] + settings
    try TestFiles.write(lines.map { $0 + "\n" }.joined(), to: directory("sentinel.conf"))
    process = try ChildProcess(
      version.path, [directory("sentinel.conf"), "--sentinel"], directory: directory.path,
      output: .file(directory("log")), errors: .file(directory("log")))
    try await eventually(
      deadline: 60, "the Sentinel answers",
      condition: { (try? await ask("PING")) == .status("PONG") }, state: { log })
  }

  deinit { process.kill() }

  private func ask(_ words: String...) async throws -> RESPReply {
    let address = try #require(LinkAddress(host: "127.0.0.1", port: Int(port)))
    return try await onOwnThread { [tls, credentials] in
      try LinkFixture.session(address, tls: tls, credentials).command(words.map { Array($0.utf8) })
    }
  }

  func primary() async throws -> LinkAddress? {
    let parts = try await ask("SENTINEL", "get-master-addr-by-name", "mymaster").elements ?? []
    guard parts.count == 2, let host = parts[0].text, let port = parts[1].text.flatMap({ Int($0) })
    else { return nil }
    return LinkAddress(host: host, port: port)
  }

  func replicaPorts() async throws -> [String] {
    let replicas = try await ask("SENTINEL", "slaves", "mymaster").elements ?? []
    return replicas.compactMap { replica in
      let fields = replica.elements?.compactMap(\.text) ?? []
      return fields.firstIndex(of: "port").map { fields[$0 + 1] }
    }
  }
}
