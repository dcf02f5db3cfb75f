import BackupTypes
import Glibc
import TestSupport
import Testing

/// What a person sees on a terminal while a command runs, and what is left when it is done.
@Suite struct ProgressTests {
  /// What a terminal shows after these bytes: a carriage return goes back to the start of the line.
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

  /// Runs a command on a terminal, with a store that answers once the progress is seen, or after 60 s.
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
