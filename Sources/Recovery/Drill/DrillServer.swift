import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import RepositoryAccess
import SystemIO
import SystemPackage

/// A real server on a restored directory, reached only through a Unix socket.
///
/// It runs as the replica of a master that does not exist. It therefore neither expires nor changes a key
/// by itself, and holds exactly what the files say.
final class DrillServer {
  /// The server ended, or did not answer. The reason is in the server's own words.
  struct Refused: Error { var reason: String }

  /// Long enough for a machine that loads tens of GiB.
  private static let loadMax: Int64 = 3_600_000
  /// While it loads, a server answers that it is loading. If it does not answer for longer than this, it
  /// hangs.
  private static let silenceMax: Int64 = 60_000
  private static let pollInterval = Duration.milliseconds(20)

  private let process: SupervisedProcess
  private let log: FilePath
  private let socket: FilePath
  /// From its start until it answered.
  private(set) var loadMilliseconds: Int64 = 0

  init(
    _ program: FilePath, _ release: ServerRelease, data: FilePath, scratch: FilePath,
    names: ServerNames, appendOnly: Bool, databases: Int
  ) throws {
    socket = scratch.appending("s")
    log = scratch.appending("server.log")
    let configuration = scratch.appending("redis.conf")
    var settings = [
      ("port", "0"), ("unixsocket", socket.string), ("unixsocketperm", "700"),
      ("dir", data.string), ("dbfilename", names.dump), ("save", ""),
      ("appendonly", appendOnly ? "yes" : "no"), ("appendfilename", names.appendFile),
      ("appendfsync", "no"), ("aof-load-truncated", "no"), ("auto-aof-rewrite-percentage", "0"),
      ("databases", "\(databases)"), ("daemonize", "no"), ("logfile", ""),
      // Nothing listens on port 1 of this machine.
      ("replica-serve-stale-data", "yes"),
    ]
    if release.product == .valkey || release.line >= (7, 0) {
      settings.append(("appenddirname", names.appendDirectory))
    }
    let lines = settings.map { "\($0) \(DrillServer.quoted($1))\n" } + ["replicaof 127.0.0.1 1\n"]
    let file = try OpenFile(creating: configuration, mode: 0o600)
    try Array(lines.joined().utf8).withUnsafeBytes { try file.write($0, at: 0) }
    process = try SupervisedProcess(
      program, [configuration.string], environment: DrillServer.environment, directory: scratch,
      output: try OpenFile(creating: log, mode: 0o600))
  }

  /// The server gets nothing of our environment, and so no credentials.
  static let environment = ["PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"]

  /// Quotes a word for redis.conf, whatever characters it has.
  private static func quoted(_ text: String) -> String {
    "\""
      + text.utf8.map { byte in
        byte >= 0x20 && byte < 0x7f && byte != 0x22 && byte != 0x5c
          ? String(UnicodeScalar(byte)) : "\\x" + hexadecimal([byte])
      }.joined() + "\""
  }

  /// Waits until it has loaded its files and answers.
  func waitUntilLoaded() async throws {
    let started = SystemClock.monotonicMilliseconds()
    var heard = started
    while true {
      try Task.checkCancellation()
      let now = SystemClock.monotonicMilliseconds()
      if let end = process.end { throw Refused(reason: "\(end): \(lastWords)") }
      switch answer() {
      case .status("PONG"):
        loadMilliseconds = SystemClock.monotonicMilliseconds() - started
        return
      case .failure(let text) where text.hasPrefix("LOADING"): heard = now
      default: break
      }
      guard now - started < DrillServer.loadMax, now - heard < DrillServer.silenceMax else {
        throw Refused(reason: "it does not start to answer: \(lastWords)")
      }
      try await Task.sleep(for: DrillServer.pollInterval)
    }
  }

  private func answer() -> RESPReply? {
    let deadline = SystemClock.monotonicMilliseconds() + 5000
    let connection = try? RESPConnection(socket) {
      try Task.checkCancellation()
      if SystemClock.monotonicMilliseconds() > deadline {
        throw Refused(reason: "it does not answer")
      }
    }
    return try? connection?.command("PING")
  }

  /// A new client, for one task.
  func connect() throws -> RESPConnection {
    let deadline = SystemClock.monotonicMilliseconds() + DrillServer.loadMax
    return try RESPConnection(socket) { [self] in
      try Task.checkCancellation()
      if let end = process.end { throw Refused(reason: "\(end): \(lastWords)") }
      if SystemClock.monotonicMilliseconds() > deadline {
        throw Refused(reason: "it does not answer")
      }
    }
  }

  func stop() { process.kill() }

  /// The last lines that the server wrote, in one line. A line that says that the version does not fit comes
  /// first: a server that can't load a file checks it afterwards, and writes more lines.
  private var lastWords: String {
    guard let file = try? OpenFile(reading: log), let size = try? file.status().size,
      let bytes = try? file.bytes(from: size - min(size, 64 << 10), to: size)
    else { return "its log can't be read" }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    let sign = lines.first { ServerAnswer.misfit($0) != nil }
    let words = (sign.map { [$0] } ?? []) + lines.suffix(3)
    return words.map { printable($0, limit: 240) }.joined(separator: " | ")
  }
}
