import BackupTypes
import Glibc
import RepositoryAccess

/// Every flag can be set as `LIFEBOAT_<FLAG>`; flags take precedence. There is no configuration file.
struct EnvironmentFlags {
  static let prefix = "LIFEBOAT_"
  /// Only manifests use it, to compose LIFEBOAT_REPO.
  static let base = "LIFEBOAT_REPO_BASE"
  /// If the variable of this flag is empty, the flag is not set. The manifests contain the variable with an empty
  /// value, ready to be filled in.
  static let emptyIsNone = "restore-request"
  let definitions: CommandDefinition
  let environment: [String: String]

  init(definitions: CommandDefinition, environment: [String: String] = processEnvironment()) {
    self.definitions = definitions
    self.environment = environment
  }

  /// `arguments`, followed by the flags that only the environment sets.
  func completing(_ arguments: [String]) throws(LifeboatError) -> [String] {
    guard let start = arguments.firstIndex(where: { !$0.hasPrefix("-") }),
      let (path, command) = definitions.leaves.first(where: {
        arguments[start...].starts(with: $0.path)
      })
    else { return arguments }
    if arguments.contains(where: { $0 == "--help" || $0 == "-h" || $0 == "--version" }) {
      return arguments
    }
    let given = Set(
      arguments.prefix { $0 != "--" }.filter { $0.hasPrefix("--") }
        .map { $0.dropFirst(2).prefix { $0 != "=" } })
    var added: [String] = []
    for argument in command.arguments ?? [] {
      guard let variable = argument.variable, let long = argument.longName,
        !given.contains(Substring(long)), let value = environment[variable],
        !value.isEmpty || long != EnvironmentFlags.emptyIsNone
      else { continue }
      if argument.kind != "flag" {
        added.append("--\(long)=\(value)")
      } else if try isSet(value, variable) {
        added.append("--\(long)")
      }
    }
    // After the command's name, before any positional argument.
    let position = start + path.count
    return Array(arguments[..<position]) + added + Array(arguments[position...])
  }

  private func isSet(_ value: String, _ variable: String) throws(LifeboatError) -> Bool {
    switch value.lowercased() {
    case "1", "true", "yes", "on": return true
    case "", "0", "false", "no", "off": return false
    default:
      throw LifeboatError(
        .usage, "\(variable) is neither true nor false", hint: "it must be true or false")
    }
  }

  /// Variables with our prefix that match no flag: a typing error, or a Kubernetes Service of our name.
  func unknownVariables() -> [String] {
    let known = Set(
      definitions.leaves.flatMap { $0.command.arguments ?? [] }.compactMap(\.variable)
    ).union([
      KeySource.variable, KeySource.copyVariable, LinkServerOptions.passwordVariable,
      EnvironmentFlags.base,
    ])
    return environment.keys.filter {
      $0.hasPrefix(EnvironmentFlags.prefix) && !known.contains($0)
        && CopyEnvironment.vendorVariable($0) == nil
    }
    .sorted().map { "\(printable($0)) is set, but there is no such flag: ignored" }
  }

  static func processEnvironment() -> [String: String] {
    var result: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      let line = String(cString: text)
      if let split = line.firstIndex(of: "=") {
        result[String(line[..<split])] = String(line[line.index(after: split)...])
      }
      entry += 1
    }
    return result
  }
}
