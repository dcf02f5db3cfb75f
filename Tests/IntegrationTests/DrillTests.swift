import BackupTypes
import Glibc
import TestSupport
import Testing

/// `verify --drill` with real servers. A backup that passes can be loaded, and one that fails differs.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct DrillTests {
  private func drill(
    _ scene: Scene, _ version: ServerVersion, _ arguments: String..., server: String? = nil
  ) async throws -> CommandResult {
    try await LifeboatCommand.run(
      [
        "verify", "--drill", "--json", "--repo", scene.repository, "--server",
        server ?? version.path,
      ] + arguments)
  }

  /// Keys of every compared type in two databases, some with an expiry, one of them long past.
  private func fill(_ server: RedisServer, _ prefix: String) throws {
    let client = try server.connect()
    for n in 1...60 {
      try client.command("SET", "\(prefix)s:\(n)", "value \(n)")
      try client.command("SET", "\(prefix)i:\(n)", n * 7 - 100)
      try client.command("HSET", "\(prefix)h:\(n)", "a", n, "b", "text", "c", "\(n)x")
      try client.command("RPUSH", "\(prefix)l:\(n)", "x", n, "y")
      try client.command("SADD", "\(prefix)t:\(n)", n, n + 1)
      try client.command("SADD", "\(prefix)u:\(n)", "m\(n)", "o")
      try client.command("ZADD", "\(prefix)z:\(n)", "1.25", "m", n, "o")
    }
    let long = [UInt8](repeating: 97, count: 300)
    try client.command("SET", "\(prefix)compressed", long)
    for n in 1...300 {
      try client.command("HSET", "\(prefix)large", "field \(n)", long)
      try client.command("RPUSH", "\(prefix)long", "item \(n)", long)
      try client.command("ZADD", "\(prefix)many", n, "member \(n)")
    }
    try client.command("XADD", "\(prefix)stream", "*", "field", "value")
    try client.command("SET", "\(prefix)later", "v", "EX", 86_400)
    try client.command("SET", "\(prefix)soon", "v", "PX", 1)
    try client.command("SELECT", 3)
    try client.command("SET", "\(prefix)elsewhere", "v")
  }

  @Test(arguments: ServerVersion.available)
  func `a drill of a dump passes, and the record is compared`(version: ServerVersion) async throws {
    let scene = try Scene()
    let server = try await scene.server(version)
    try fill(server, "k:")
    try await server.save()
    server.kill()
    try await scene.ship()
    let result = try await drill(scene, version)
    #expect(result.exitCode == 0, "\(result)")
    #expect(result.outputText.has("\"isPassed\" : true") && result.outputText.has("\"record\""))
    #expect(result.outputText.has("\"isRecorded\" : true"))
    #expect(try values(result) > 300, "\(result)")
    let listed = try await scene.list()
    #expect(listed.outputText.has("last drill: ") && listed.outputText.has("passed"), "\(listed)")
  }

  @Test(arguments: ServerVersion.available)
  func `a drill of an AOF passes, with a full copy and commands behind it`(version: ServerVersion)
    async throws
  {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    try fill(server, "base:")
    try await server.rewriteAOF()
    try fill(server, "log:")
    try server.command("HDEL", "base:h:1", "a")
    try server.command("DEL", "base:h:2")
    try server.command("RENAME", "base:h:3", "base:renamed")
    server.kill()
    try await scene.ship()
    let result = try await drill(scene, version)
    #expect(result.exitCode == 0, "\(result)")
    #expect(try values(result) > 600, "\(result)")
  }

  /// The number of compared values.
  private func values(_ result: CommandResult) throws -> Int {
    let line = try #require(
      result.outputText.split(separator: "\n").first { $0.contains("\"values\" : ") }.map(
        String.init))
    return try #require(Int(line.filter(\.isNumber)))
  }

  /// A script in place of a server. It replaces the restored dump by another one, then starts the real
  /// server.
  private func serverWithOther(_ dump: String, _ version: ServerVersion, _ scene: Scene) throws
    -> String
  {
    let path = scene.folder("server")
    try TestFiles.write(
      """
      #!/bin/sh
      if [ "$1" != --version ]; then
        data=$(sed -n 's/^dir "\\(.*\\)"$/\\1/p' "$1")
        cp '\(dump)' "$data/dump.rdb"
      fi
      exec '\(version.path)' "$@"

      """, to: path)
    try #require(chmod(path, 0o755) == 0)
    return path
  }

  /// There is no verdict on the backup, because the server can't load it.
  @Test(arguments: [ServerVersion.v7_0, .v8_2, .valkey9_1])
  func `a server that lacks a module can't judge the backup`(version: ServerVersion) async throws {
    let scene = try Scene()
    let id = "testmodul".utf8.reduce(0 as UInt64) { $0 << 6 | UInt64($1 - 97 + 26) } << 10 | 1
    var dump = Array("REDIS0009".utf8) + [0xfa, 9] + Array("redis-ver".utf8) + [5]
    dump += Array("5.0.7".utf8) + [0xfe, 0, 7, 1, 107, 0x81]
    dump += withUnsafeBytes(of: id.bigEndian) { Array($0) } + [2, 5, 0, 0xff]
    dump += [UInt8](repeating: 0, count: 8)
    try TestFiles.write(dump, to: scene.data + "/dump.rdb")
    try await scene.ship()
    let result = try await drill(scene, version)
    #expect(result.exitCode == 10 && result.errorText.has("module"), "\(result)")
  }

  /// A drill whose server never answers, and the process in place of that server.
  private func silentDrill(_ scene: Scene, temporary: String) async throws -> (
    RunningCommand, pid: String
  ) {
    let silent = scene.folder("silent")
    try TestFiles.write(
      """
      #!/bin/sh
      [ "$1" != --version ] || exec '\(ServerVersion.v7_4.path)' "$@"
      echo $$ >'\(scene.folder("pid"))'
      exec sleep 1000

      """, to: silent)
    try #require(chmod(silent, 0o755) == 0)
    let running = try LifeboatCommand.start(
      ["verify", "--drill", "--repo", scene.repository, "--server", silent],
      environment: ["TMPDIR": temporary])
    try await eventually(deadline: 60, "the server is started") {
      ((try? TestFiles.text(scene.folder("pid"))) ?? "").hasSuffix("\n")
    }
    let pid = try TestFiles.text(scene.folder("pid")).filter(\.isNumber)
    return (running, pid)
  }

  @Test func `data with one field removed fails the drill`() async throws {
    let scene = try Scene()
    let server = try await scene.server(.v7_4)
    try fill(server, "k:")
    try await server.save()
    try await scene.ship()
    try server.command("HDEL", "k:h:17", "b")
    let other = scene.folder("other.rdb")
    try await server.save()
    server.kill()
    try TestFiles.copy(scene.data + "/dump.rdb", to: other)
    let stand = try serverWithOther(other, .v7_4, scene)
    let result = try await drill(scene, .v7_4, server: stand)
    #expect(result.exit == .corrupt, "\(result)")
    #expect(result.outputText.has("elements in hash: recorded"), "\(result)")
    #expect(result.outputText.has("k:h:17"), "the value was not compared: \(result)")
    let listed = try await scene.list()
    #expect(listed.outputText.has("FAILED"), "\(listed)")
  }

  @Test func `a server that is older than the data, or none, is refused before it is started`()
    async throws
  {
    let scene = try Scene()
    let server = try await scene.server(.v7_4)
    try fill(server, "k:")
    try await server.save()
    server.kill()
    try await scene.ship()
    let older = try await drill(scene, .v6_2)
    #expect(older.exit == .versionMismatch && older.errorText.has("--server"), "\(older)")
    let none = try await drill(scene, .v7_4, server: "/bin/true")
    #expect(none.exit == .versionMismatch, "\(none)")
    let absent = try await drill(scene, .v7_4, server: scene.folder("absent"))
    #expect(absent.exitCode != 0 && absent.errorText.has("absent"), "\(absent)")
  }

  @Test func `nothing is left behind, also when it is interrupted`() async throws {
    let scene = try Scene()
    let server = try await scene.server(.v7_4)
    try fill(server, "k:")
    try await server.save()
    server.kill()
    try await scene.ship()
    let temporary = try scene.folder.makeDirectory("t")
    let (running, pid) = try await silentDrill(scene, temporary: temporary)
    let ended = try await running.terminate()
    #expect(ended.exit == .terminated, "\(ended)")
    #expect(TestFiles.tree(temporary).isEmpty && TestFiles.list(temporary).isEmpty)
    try await eventually(deadline: 30, "the server is gone") {
      !TestFiles.exists("/proc/\(pid)/cwd")
    }
  }

  @Test func `killed, it takes its server along`() async throws {
    let scene = try Scene()
    let server = try await scene.server(.v7_4)
    try fill(server, "k:")
    try await server.save()
    server.kill()
    try await scene.ship()
    let (running, pid) = try await silentDrill(scene, temporary: scene.folder.path)
    running.signal(9)
    try await eventually(deadline: 30, "the server is gone") {
      let status = (try? TestFiles.text("/proc/\(pid)/stat")) ?? ""
      return status.isEmpty || status.has(") Z ")
    }
  }
}
