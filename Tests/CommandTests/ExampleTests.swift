import ArgumentParser
import TestSupport
import Testing

@testable import lifeboat

/// Every help text shows how to call its command, and the command accepts these examples.
@Suite struct ExampleTests {
  /// The names of the commands; "" is lifeboat itself.
  static let commands =
    ["", "key"] + CommandDefinition.root.leaves.map { $0.path.joined(separator: " ") }

  /// The lines of a discussion that follow "Examples:".
  private func exampleLines(of name: String) -> [Substring] {
    let words = name.split(separator: " ")
    let command = words.reduce(CommandDefinition.root as CommandDefinition?) { command, word in
      command?.subcommands?.first { $0.commandName == word }
    }
    let lines = (command?.discussion ?? "").split(
      separator: "\n", omittingEmptySubsequences: false)
    return lines.firstIndex(of: "Examples:").map { Array(lines[($0 + 1)...]) } ?? []
  }

  /// The arguments of each call of lifeboat in the examples, as a shell would pass them.
  private func calls(of name: String) throws -> [[String]] {
    let text = exampleLines(of: name).joined(separator: "\n").replacing("\\\n", with: " ")
    return try text.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard let first = words.first, !first.hasPrefix("#") else { return nil }
      #expect(
        !line.contains(where: { "'\"$*".contains($0) }), "this test knows no quoting: \(line)")
      let start = try #require(words.firstIndex(of: "lifeboat"), "calls no lifeboat: \(line)")
      return words[(start + 1)...].prefix { !$0.hasPrefix(">") && $0 != "|" }.map {
        String($0.prefix { $0 != ")" && $0 != ";" })
      }
    }
  }

  @Test(arguments: commands)
  func `every help has an example, and the command accepts it`(name: String) throws {
    let calls = try calls(of: name)
    #expect(!calls.isEmpty, "the help of \(name) has no example: end its discussion with some")
    for arguments in calls {
      #expect(
        arguments.starts(with: name.split(separator: " ").map(String.init))
          || arguments == ["keygen"], "\(arguments)")
      do {
        _ = try Lifeboat.parseAsRoot(arguments)
      } catch {
        Issue.record(
          "lifeboat \(arguments.joined(separator: " ")): \(Lifeboat.message(for: error))")
      }
    }
  }

  @Test(arguments: commands)
  func `a help of 80 columns shows the examples as they are written`(name: String) async throws {
    let help = try await LifeboatCommand.run(
      name.split(separator: " ").map(String.init) + ["--help"])
    #expect(help.exitCode == 0, "\(help)")
    let lines = help.outputText.split(separator: "\n", omittingEmptySubsequences: false)
    for line in exampleLines(of: name) {
      #expect(lines.contains(line), "not in the help, or longer than a line of it: \(line)")
    }
  }
}
