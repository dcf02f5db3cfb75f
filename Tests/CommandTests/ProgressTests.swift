import BackupTypes
import Glibc
import Synchronization
import TestSupport
import Testing

/// What a terminal shows while a command runs, and what stays when it is done.
@Suite struct ProgressTests {
  /// What a terminal shows after these bytes. A carriage return goes back to the start of the line.
  private func rendered(_ text: String) -> [String] {
    var lines: [[Character]] = [[]]
    var column = 0
    for character in text {
      switch character {
      case "\r\n", "\n":
        lines.append([])
        column = 0
      case "\r": column = 0
      default:
        let last = lines.count - 1
        if column < lines[last].count {
          lines[last][column] = character
        } else {
          lines[last].append(character)
        }
        column += 1
      }
    }
    return lines.map { String($0) }
  }

  /// Runs a command on a terminal, with a store that answers after the progress was shown, or after 60 s.
  private func run(_ command: String, _ folder: TemporaryDirectory) async throws -> String {
    let file = folder("terminal")
    try TestFiles.write("", to: file)
    let server = try LoopbackServer { _ in
      for _ in 0..<3000 {
        if let text = try? TestFiles.text(file), text.contains(" s") { break }
        usleep(20_000)
      }
      return .reply(LoopbackReply(403))
    }
    let repository = "s3://bucket/prefix?endpoint=\(server.url)&region=us-east-1&path-style=true"
    var environment = ChildProcess.minimalEnvironment
    environment["AWS_ACCESS_KEY_ID"] = "id"
    environment["AWS_SECRET_ACCESS_KEY"] = "secret"
    environment["LIFEBOAT_REPO"] = repository
    let terminal = try ChildProcess(
      "/usr/bin/script", ["-qefc", "'\(LifeboatCommand.path)' \(command)", "/dev/null"],
      environment: environment, output: .file(file))
    let end = try await terminal.wait(deadline: 240)
    let text = try TestFiles.text(file)
    #expect(end == .exited(ExitCode.storeUnavailable.rawValue), "\(text)")
    return text
  }

  private final class Counter: Sendable {
    private let value = Mutex(0)
    func next() -> Int {
      value.withLock {
        $0 += 1; return $0
      }
    }
  }

  /// Waits in a server's thread until the terminal shows a bar, for at most 60 s.
  private static func waitForBar(_ file: String) {
    for _ in 0..<3000 {
      if let text = try? TestFiles.text(file), text.contains(" %  ") { return }
      usleep(20_000)
    }
  }

  /// Runs a command below `s3://bucket/prefix` on a terminal.
  ///
  /// - Parameters:
  ///   - repositories: their prefixes, each with its slash. Each gets a small backup first.
  ///   - isHeld: called with each request for a snapshot. Those for which it is true are answered after the bar
  ///     was shown.
  private func shown(
    _ command: String, repositories: [String], isHeld: @escaping @Sendable (String) -> Bool
  ) async throws -> String {
    let folder = try TemporaryDirectory("progress")
    let file = folder("terminal")
    try TestFiles.write("", to: file)
    let data = try folder.makeDirectory("data")
    try TestFiles.write("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n", to: data + "/appendonly.aof")
    let server = try FaultS3Server()
    let query = "?endpoint=\(server.url)&region=us-east-1&path-style=true"
    var environment = ChildProcess.minimalEnvironment
    environment["AWS_ACCESS_KEY_ID"] = FaultS3Server.accessKey
    environment["AWS_SECRET_ACCESS_KEY"] = FaultS3Server.secretKey
    for repository in repositories {
      environment["LIFEBOAT_REPO"] = "s3://bucket/prefix\(repository)\(query)"
      let shipped = try await LifeboatCommand.run(
        ["ship", "--once", "--data", data], environment: environment)
      #expect(shipped.exitCode == 0, "\(shipped)")
    }
    server.change {
      $0.fault = { request in
        if request.method == "GET", request.path.contains("/snapshots/"), isHeld(request.path) {
          ProgressTests.waitForBar(file)
        }
        return nil
      }
    }
    environment["LIFEBOAT_REPO"] = "s3://bucket/prefix\(query)"
    let terminal = try ChildProcess(
      "/usr/bin/script", ["-qefc", "'\(LifeboatCommand.path)' \(command)", "/dev/null"],
      environment: environment, output: .file(file))
    let end = try await terminal.wait(deadline: 240)
    let text = try TestFiles.text(file)
    #expect(end == .exited(0), "\(text)")
    let lines = rendered(text).map { $0.trimming() }.filter { !$0.isEmpty }
    #expect(!lines.contains { $0.contains(" %  ") }, "\(lines)")
    return text
  }

  /// The store returns one snapshot, and the rest after the bar was shown.
  @Test func `where the total is known there is a bar, and nothing of it stays beside the result`()
    async throws
  {
    let snapshots = Counter()
    let text = try await shown("list", repositories: [""]) { _ in snapshots.next() > 1 }
    #expect(text.contains("reading #") && text.contains(" records"), "\(text)")
    let lines = rendered(text).map { $0.trimming() }.filter { !$0.isEmpty }
    #expect(lines.first?.hasPrefix("repository ") == true, "\(lines)")
  }

  /// The second repository is read after the bar was shown.
  @Test func `the bar of fleet counts repositories`() async throws {
    let text = try await shown("fleet", repositories: ["/a", "/b"]) { $0.contains("/b/") }
    #expect(text.contains("1 of 2 repositories"), "\(text)")
  }

  @Test(arguments: ["list", "unpin x", "verify"])
  func `a command that takes longer than two seconds says so, and clears it before its result`(
    command: String
  ) async throws {
    let folder = try TemporaryDirectory("progress")
    let text = try await run(command, folder)
    let name = try #require(command.split(separator: " ").first)
    #expect(text.contains("\(name)  "), "\(text)")
    let lines = rendered(text).map { $0.trimming() }.filter { !$0.isEmpty }
    #expect(lines.first?.hasPrefix("lifeboat: error: ") == true, "\(lines)")
    #expect(!lines.contains { $0.hasPrefix("\(name)  ") }, "\(lines)")
  }
}

extension String {
  fileprivate func trimming() -> String {
    var rest = self[...]
    while rest.last == " " { rest.removeLast() }
    return String(rest)
  }
}
