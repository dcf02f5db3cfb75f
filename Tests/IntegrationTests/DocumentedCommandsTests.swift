import BackupTypes
import Glibc
import TestSupport
import Testing

/// A shell runs every `lifeboat` command of the README, the guides and the alert pages unchanged. It stands
/// for the pod, beside a sidecar that ships a Redis whose data was flushed once. `RunbookTests` covers the
/// runbooks by symptom.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct DocumentedCommandsTests {
  private struct Line: CustomStringConvertible {
    var page: String
    var text: String
    var description: String { "\(page): \(text)" }
  }

  /// The lines of the code blocks that run `lifeboat`, without `kubectl exec` and without comments.
  private func lines() throws -> [Line] {
    let pages =
      ["README.md", "docs/restore.md", "docs/threat-model.md"]
      + TestFiles.tree(Checkout.root + "/docs/guides").map { "docs/guides/" + $0 }
      + RunbookLine.pages.filter { !RunbookLine.bySymptom.contains($0) }
      .map { "docs/operations/" + $0 }
    var lines: [Line] = []
    for page in pages {
      var isCode = false
      for line in try TestFiles.text(Checkout.root + "/" + page).split(separator: "\n") {
        if line.hasPrefix("```") { isCode.toggle() }
        guard isCode, let start = line.firstRange(of: "lifeboat ")?.lowerBound else { continue }
        let way = line[..<start]
        guard way.isEmpty || way.hasSuffix("lifeboat-ship -- ") || way.hasPrefix("(umask") else {
          continue
        }
        var text = String(way.hasPrefix("(umask") ? line : line[start...])
        if let remark = text.firstRange(of: "  #")?.lowerBound { text = String(text[..<remark]) }
        lines.append(Line(page: page, text: text))
      }
    }
    return lines
  }

  @Test func `each of them does what it says`() async throws {
    let place = try Place()
    // The server on the PATH, which a drill finds.
    let server = try await RedisServer.start(
      .v7_0, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    for index in 1...20 { try server.command("SET", "key:\(index)", "value") }
    try server.command("FLUSHALL")
    try server.command("SET", "life", "goes on")
    let ports = try freePorts(1)
    let ship = try place.ship("--ship-interval", "100ms", "--admin-listen", "127.0.0.1:\(ports[0])")
    try await eventually(
      deadline: 60, "a restore point", condition: { await place.newest() != nil },
      state: { ship.errorText })
    let lines = try lines()
    #expect(lines.count > 30, "\(lines)")
    for (number, line) in lines.enumerated() {
      let outcome = try await run(line, number, place, port: ports[0])
      #expect(outcome.code == 0, "\(line)\n\(outcome.text)")
      if line.text.contains("--before FLUSHALL") {
        #expect(outcome.text.contains("restored "), "\(line)\n\(outcome.text)")
      }
    }
    #expect(ship.end == nil, "\(ship.errorText)")
    // Each command that a person on call needs has an example.
    for command in ["doctor", "list", "inspect", "restore", "verify", "unpin", "status", "sync"] {
      #expect(lines.contains { $0.text.contains("lifeboat \(command)") }, "\(command)")
    }
  }

  /// Runs a line in a shell. A pod's paths are replaced by those of this test. A command that would not end
  /// runs once.
  private func run(_ line: Line, _ number: Int, _ place: Place, port: UInt16) async throws -> (
    code: Int32?, text: String
  ) {
    let home = try place.folder.makeDirectory("line-\(number)")
    var data = place.data
    var repository = place.repository
    if line.text.contains("lifeboat restore") {
      data = try place.folder.makeDirectory("data-\(number)")
      // Data that `--replace` moves aside.
      if line.text.contains("--replace") { try Volume.writeDump(in: data) }
    }
    var text = line.text
    if text.contains("lifeboat ship") {
      text += " --once"
      data = try place.folder.makeDirectory("data-\(number)")
      try Volume.writeDump(in: data)
      repository = try place.folder.makeDirectory("repository-\(number)")
      if text.contains("--encryption-key-file") {
        text = "lifeboat keygen >lifeboat.key && " + text
      }
    }
    text = text.replacing("s3://backups/redis", with: repository)
      .replacing("gs://other-bucket/redis", with: home + "/copy")
      .replacing("s3://backups", with: repository)
      .replacing("/var/backups/redis", with: repository)
      .replacing("/backups/redis-encrypted", with: repository)
      .replacing("/backups/redis", with: repository)
      .replacing("--data /data", with: "--data \(data)")
      .replacing("--data /var/lib/redis-restored", with: "--data \(data)")
      .replacing("--data /var/lib/redis", with: "--data \(data)")
      .replacing("2026-11-22T14:02:00Z", with: "\(time(nil))")
    for pod in 0..<3 {
      text = text.replacing("s3://my-bucket/my-cluster/redis/redis-\(pod)", with: repository)
    }
    let binary = LifeboatCommand.path
    let folder = binary.split(separator: "/").dropLast().map { "/" + $0 }.joined()
    var environment = ChildProcess.minimalEnvironment
    environment["PATH"] = folder + ":" + (environment["PATH"] ?? "/usr/bin:/bin")
    environment["REPO"] = repository
    if !text.contains("--repo") { environment["LIFEBOAT_REPO"] = repository }
    environment["LIFEBOAT_ADMIN_LISTEN"] = "127.0.0.1:\(port)"
    if text.contains("lifeboat ship") { environment["LIFEBOAT_ADMIN_LISTEN"] = "off" }
    let shell = try ChildProcess(
      "/bin/sh", ["-e", "-c", text], environment: environment, directory: home,
      output: .file(home + "/out"), errors: .file(home + "/err"))
    try await eventually(deadline: 120, "the end of \(line)", condition: { !shell.isRunning })
    let printed =
      try TestFiles.text(home + "/out") + TestFiles.text(home + "/err")
    guard case .exited(let code)? = shell.end else { return (nil, printed) }
    return (code, printed)
  }
}
