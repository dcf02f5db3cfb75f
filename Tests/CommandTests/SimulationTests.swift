import TestSupport
import Testing

/// The simulator itself, in its debug build. `scripts/simulate` runs many more worlds.
@Suite struct SimulationTests {
  /// The simulator is beside `lifeboat`.
  private var path: String {
    LifeboatCommand.path.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/Simulation"
  }

  private func simulate(_ arguments: String...) async throws -> CommandResult {
    try await LifeboatCommand.run(arguments, deadline: 600, binary: path)
  }

  @Test func `a seed decides everything, in one process and in another`() async throws {
    let first = try await simulate("--seeds", "6", "--from", "1", "--twice", "--traces")
    #expect(first.exitCode == 0, "\(first)")
    let second = try await simulate("--seeds", "6", "--from", "1", "--traces")
    let traces = { (result: CommandResult) in
      result.outputText.split(separator: "\n").filter { $0.hasPrefix("trace ") }
    }
    #expect(traces(first) == traces(second))
    #expect(Set(traces(first)).count == 6, "each seed is another world")
  }

  /// A rule that every world breaks. The violation is found, shortened, and found again with the printed
  /// arguments.
  @Test func `what breaks a rule is told, and can be replayed`() async throws {
    let found = try await simulate("--seed", "7", "--break-a-rule")
    #expect(found.exitCode == 1, "\(found)")
    #expect(found.outputText.contains("seed 7: the rule that --break-a-rule breaks"), "\(found)")
    let shortest = try #require(
      found.outputText.split(separator: "\n").last { $0.contains("replay: ") })
    let words = shortest.split(separator: " ").map { String($0.filter { $0 != "'" }) }
    let arguments = Array(words[words.firstIndex(of: "--seed")!...]).filter { $0 != "--verbose" }
    // `--only` names the acts that are needed for the violation.
    #expect(arguments.contains("--only") && !arguments.last!.isEmpty, "\(found)")
    let again = try await LifeboatCommand.run(
      arguments + ["--break-a-rule", "--no-shrink"], deadline: 600, binary: path)
    #expect(again.exitCode == 1, "\(again)")
  }
}
