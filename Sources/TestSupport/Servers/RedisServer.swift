import Glibc

/// A running server on a data directory, reachable only through a Unix socket.
///
/// The socket, the configuration file and the log are in a directory of the harness, so `dir` only contains
/// what the server persists. The server ends with this object.
package final class RedisServer: Sendable {
  package let version: ServerVersion
  /// `dir`: where the server persists.
  package let directory: String
  package let process: ChildProcess
  private let runtime: TemporaryDirectory
  /// `requirepass` of its configuration.
  private let password: String?

  package var socket: String { runtime("s") }
  /// The server's log so far.
  package var log: String { (try? TestFiles.text(runtime("log"))) ?? "" }
  package var end: ProcessEnd? { process.end }

  /// The server exited before it was ready.
  package struct StartFailure: Error, CustomStringConvertible {
    package let version: ServerVersion
    package let end: ProcessEnd
    package let log: String
    package var description: String { "server \(version) ended (\(end)) while starting:\n\(log)" }
  }

  private init(
    _ version: ServerVersion, _ directory: String, _ options: [String: String],
    _ environment: [String: String]
  ) throws {
    guard version.isInstalled else {
      throw HarnessError("no server \(version) at \(version.path): run scripts/servers")
    }
    self.version = version
    self.directory = directory
    password = options["requirepass"]
    runtime = try TemporaryDirectory("lb")
    try TestFiles.makeDirectory(directory)
    var settings = [
      "port": "0", "unixsocket": runtime("s"), "dir": directory, "daemonize": "no", "save": "",
      "appendonly": "no", "loglevel": "notice",
    ]
    if version != .v6_2 { settings["enable-debug-command"] = "yes" }
    settings.merge(options) { $1 }
    let lines = settings.sorted { $0.key < $1.key }.map { name, value in
      "\(name) \(value.isEmpty ? "\"\"" : value)\n"
    }
    try TestFiles.write(lines.joined(), to: runtime("redis.conf"))
    process = try ChildProcess(
      version.path, [runtime("redis.conf")],
      environment: ChildProcess.minimalEnvironment.merging(environment) { $1 },
      directory: runtime.path,
      output: .file(runtime("log")), errors: .file(runtime("log")))
  }

  /// Starts a server and waits until it has loaded its data and answers.
  ///
  /// `options` are lines of its configuration: `["appendonly": "yes", "save": "60 1"]`. Without
  /// them the server persists nothing by itself. Throws `StartFailure` when the server refuses.
  package static func start(
    _ version: ServerVersion, directory: String, options: [String: String] = [:],
    environment: [String: String] = [:], deadline: Double = 120
  ) async throws -> RedisServer {
    let server = try RedisServer(version, directory, options, environment)
    try await eventually(
      deadline: deadline, "server \(version) answers",
      condition: {
        if let end = server.end {
          throw StartFailure(version: version, end: end, log: server.log)
        }
        return server.isReady
      }, state: { server.log })
    return server
  }

  private var isReady: Bool {
    guard let client = try? connect(timeout: 5) else { return false }
    return (try? client.command("PING")) == .simple("PONG")
  }

  /// A new client, which is authenticated if the server has a password; confine it to one task.
  package func connect(timeout seconds: Int = 60) throws -> RESPClient {
    let client = try RESPClient(socket: socket, timeout: seconds)
    if let password { try client.command("AUTH", password) }
    return client
  }

  /// One command on a connection of its own.
  @discardableResult
  package func command(_ arguments: any RESPArgument...) throws -> RESPValue {
    try connect().run(arguments)
  }

  /// Sends SIGTERM, as Kubernetes does to end a pod. The server saves if it has save points, and exits.
  @discardableResult
  package func shutdown(deadline: Double = 60) async throws -> ProcessEnd {
    process.signal(SIGTERM)
    return try await process.wait(deadline: deadline)
  }

  /// SIGKILL to the server and to its save child.
  @discardableResult
  package func kill() -> ProcessEnd { process.kill() }
}

extension RedisServer {
  /// The complete content, read on a thread of its own.
  package func dataset() async throws -> Dataset {
    let client = try connect()
    return try await onOwnThread { try Dataset.read(from: client) }
  }

  /// One field of INFO.
  package func info(_ field: String) throws -> String? {
    let text = try command("INFO").string ?? ""
    let lines = text.split { $0 == "\r\n" || $0 == "\n" }
    let line = lines.first { $0.hasPrefix(field + ":") }
    return line.map { String($0.dropFirst(field.utf8.count + 1)) }
  }

  /// Runs BGREWRITEAOF and waits until it is done. First waits for one that is already running. Throws if it
  /// failed.
  package func rewriteAOF() async throws {
    try await background("BGREWRITEAOF", "aof_rewrite_in_progress", "aof_last_bgrewrite_status")
  }

  /// Runs BGSAVE and waits until it is done. First waits for one that is already running. Throws if it
  /// failed.
  package func save() async throws {
    try await background("BGSAVE", "rdb_bgsave_in_progress", "rdb_last_bgsave_status")
  }

  private func background(_ command: String, _ running: String, _ status: String) async throws {
    func idle() throws -> Bool {
      try info("rdb_bgsave_in_progress") == "0" && info("aof_rewrite_in_progress") == "0"
        && info("aof_rewrite_scheduled") == "0"
    }
    try await eventually(deadline: 60, "no save child before \(command)") { try idle() }
    try self.command(command)
    try await eventually(
      deadline: 60, "end of \(command)", condition: { try idle() }, state: { log })
    guard try info(status) == "ok" else { throw HarnessError("\(command) failed:\n\(log)") }
  }
}
