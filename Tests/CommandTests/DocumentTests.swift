import BackupTypes
import TestSupport
import Testing

/// Every flag, variable, metric and exit code that a page mentions exists. `ContractTests` and
/// `MetricsPageTests` check that each of them is documented, and `scripts/manifests` checks what `deploy/`
/// sets.
@Suite struct DocumentTests {
  /// Flags of our scripts and of the argument parser, which pages mention without a command.
  private static let flagsOfScripts: Set<String> = [
    "--size", "--quick", "--clean-stop", "--minutes", "--store", "--seed", "--manual",
    "--check", "--help", "--generate-completion-script", "--every",
  ]

  private struct Page: CustomStringConvertible {
    let description: String
    let text: String
  }

  /// Everything that a user reads, and all manifests.
  private func pages() throws -> [Page] {
    let folders = ["docs", "deploy"].flatMap { folder in
      TestFiles.tree(Checkout.root + "/" + folder).map { folder + "/" + $0 }
    }.filter { !$0.hasSuffix(".png") }
    let names = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] + folders
    #expect(folders.count > 50, "the pages are not where they were")
    return try names.map { name in
      Page(description: name, text: try TestFiles.text(Checkout.root + "/" + name))
    }
  }

  /// The flags and variables of `docs/cli.md` by command. That page is generated from the definitions.
  private func reference() throws -> (flags: [String: Set<String>], variables: Set<String>) {
    var flags: [String: Set<String>] = [:]
    // Secrets have no flag, and neither has the common part of many pods' repositories.
    var variables: Set<String> = [
      "LIFEBOAT_ENCRYPTION_KEY", "LIFEBOAT_TO_ENCRYPTION_KEY", "LIFEBOAT_REDIS_PASSWORD",
      "LIFEBOAT_REPO_BASE",
    ]
    var command = ""
    for line in try TestFiles.text(Checkout.root + "/docs/cli.md").split(separator: "\n") {
      if line.hasPrefix("## lifeboat ") { command = String(line.dropFirst(12)) }
      let cells = line.split(separator: "|", omittingEmptySubsequences: false)
      guard line.hasPrefix("| `--"), cells.count > 3 else { continue }
      flags[command, default: []].formUnion(self.flags(in: cells[1]))
      variables.formUnion(cells[2].matches(of: #/LIFEBOAT_[A-Z_]+/#).map { String($0.output) })
    }
    #expect(flags.count >= 8 && variables.count >= 20, "docs/cli.md is not as it was")
    return (flags, variables)
  }

  private func flags(in text: Substring) -> [String] {
    text.split { !($0.isLetter || $0 == "-") }.filter { $0.hasPrefix("--") && $0.count > 2 }
      .map(String.init)
  }

  @Test func `every flag that a page names is one of its command`() throws {
    let known = try reference().flags
    let any = known.values.reduce(DocumentTests.flagsOfScripts) { $0.union($1) }
    for page in try pages() where page.description.hasSuffix(".md") {
      for code in inlineCode(page.text) {
        var words = code.split(separator: " ")
        if words.first == "lifeboat" { words.removeFirst() }
        // Anything else is someone else's command.
        let allowed =
          words.first?.hasPrefix("--") == true ? any : words.first.flatMap { known[String($0)] }
        guard let allowed else { continue }
        for flag in flags(in: code) {
          #expect(allowed.contains(flag), "\(page): `\(code)`: there is no \(flag)")
        }
      }
    }
  }

  /// The text between backquotes within a line, outside of code blocks.
  private func inlineCode(_ text: String) -> [Substring] {
    var isBlock = false
    return text.split(separator: "\n").flatMap { line -> [Substring] in
      if line.hasPrefix("```") { isBlock.toggle() }
      if isBlock { return [] }
      return line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
        .filter { $0.offset % 2 == 1 }.map(\.element)
    }
  }

  @Test func `every variable, metric and exit code that a page or a manifest names exists`() throws
  {
    let variables = try reference().variables
    let table = try TestFiles.text(Checkout.root + "/docs/metrics.md")
    let metrics = Set(table.matches(of: #/\n\| `(lifeboat_\w+)`/#).map { String($0.output.1) })
    let codes = Set(ExitCode.allCases.map { String($0.rawValue) })
    #expect(metrics.count > 10)
    for page in try pages() {
      for match in page.text.matches(of: #/\bLIFEBOAT_[A-Z][A-Z_]*/#) {
        let name = String(match.output)
        // The variables of vendors' tools, for the store of a copy.
        let isCopys = ["AWS_", "GOOGLE_", "AZURE_"].contains {
          name.hasPrefix("LIFEBOAT_TO_" + $0)
        }
        #expect(variables.contains(name) || isCopys, "\(page): there is no variable \(name)")
      }
      for match in page.text.matches(of: #/\blifeboat_[a-z]\w+/#) {
        let name = String(match.output)
        #expect(metrics.contains(name), "\(page): there is no metric \(name)")
      }
      for match in page.text.matches(of: #/\b[Ee]xits?(?: code| with)? (\d+)/#) {
        let code = String(match.output.1)
        #expect(codes.contains(code), "\(page): \(match.output.0): there is no such code")
      }
    }
  }
}
