import ArgumentParser
import FoundationEssentials

/// The command tree as ArgumentParser describes it: the only source for environment variables, the
/// reference and the contract tests.
struct CommandDefinition: Decodable {
  struct Argument: Decodable {
    struct Name: Decodable {
      var kind: String
      var name: String
    }
    var kind: String
    var names: [Name]?
    var valueName: String?
    var abstract: String?
    var discussion: String?
    var defaultValue: String?
    var isOptional: Bool
    var isRepeating: Bool
    var shouldDisplay: Bool
    var allValues: [String]?

    /// `repo` of `--repo`.
    var longName: String? { names?.first { $0.kind == "long" }?.name }
    /// `LIFEBOAT_REPO`; help and version have none.
    var variable: String? {
      guard let name = longName, kind != "positional", name != "help", name != "version" else {
        return nil
      }
      return EnvironmentFlags.prefix + name.uppercased().replacing("-", with: "_")
    }
  }

  var commandName: String
  var abstract: String?
  var discussion: String?
  var arguments: [Argument]?
  var subcommands: [CommandDefinition]?

  /// The commands that do something, each with the words that call it: `["key", "add"]`.
  var leaves: [(path: [String], command: CommandDefinition)] {
    (subcommands ?? []).filter { $0.commandName != "help" }.flatMap { command in
      let below = command.leaves
      return below.isEmpty
        ? [([command.commandName], command)]
        : below.map { ([command.commandName] + $0.path, $0.command) }
    }
  }

  static let root: CommandDefinition = {
    struct Tool: Decodable { var command: CommandDefinition }
    do {
      return try JSONDecoder().decode(Tool.self, from: Data(Lifeboat._dumpHelp().utf8)).command
    } catch {
      preconditionFailure("the command definitions can't be read: \(error)")
    }
  }()
}
