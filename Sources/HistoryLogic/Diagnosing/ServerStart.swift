package import BackupTypes
import RedisFormats

/// What a server does when it starts on a directory: pure.
///
/// `DataVerdict` protects data from a restore, so it calls it broken if a server would start empty beside
/// data. This type only describes what the server does, so that `doctor` never says that Redis can't start
/// when it can. Measured with Redis 6.2 to 8.2 and Valkey 9.1: `docs/restore.md` has the table of what loads.
package enum ServerStart: Sendable, Equatable {
  /// - Parameter what: `dump.rdb`, `the AOF`.
  case loads(_ what: String)
  /// - Parameter ignoring: the data that it does not load; nil if there is none.
  case startsEmpty(ignoring: String?)
  /// It exits while it loads.
  case refuses(reason: String, remedy: String)

  package static func judge(
    _ facts: DataFacts, names: ServerNames, appendOnly: Bool
  ) -> ServerStart {
    appendOnly ? withAOF(facts, names) : withDump(facts, names)
  }

  package var words: String {
    switch self {
    case .loads(let what): "loads \(what)"
    case .startsEmpty(nil): "starts empty: there is nothing to load"
    case .startsEmpty(let ignored?): "starts EMPTY: it ignores \(ignored)"
    case .refuses(let reason, _): "does not start: \(reason)"
    }
  }

  // MARK: appendonly no

  private static func withDump(_ facts: DataFacts, _ names: ServerNames) -> ServerStart {
    let dump = printable(names.dump)
    switch facts.dump {
    // This release can't read it, but a newer server may load it.
    case .data, .unknown: return .loads(dump)
    case .broken(let reason):
      return .refuses(
        reason: "\(dump) can't be loaded: \(reason)",
        remedy: "while Redis is running, `redis-cli BGSAVE` writes a valid one; "
          + "otherwise restore with --replace, which moves it aside")
    case .empty, .absent: return .startsEmpty(ignoring: aofWithData(facts, names))
    }
  }

  private static func aofWithData(_ facts: DataFacts, _ names: ServerNames) -> String? {
    switch facts.manifest {
    case .broken: return "the AOF, whose manifest is invalid"
    case .valid:
      return facts.files.values.contains(where: \.holdsData) ? "the AOF, which holds data" : nil
    case .absent:
      if facts.legacy.holdsData { return "\(printable(names.appendFile)), which holds data" }
      return strays(facts, names)
    }
  }

  /// Files in the AOF directory that hold data and that no manifest names.
  package static func strays(_ facts: DataFacts, _ names: ServerNames) -> String? {
    guard facts.manifest == .absent else { return nil }
    let found = facts.files.filter { $0.value.holdsData }.keys.sorted()
    guard let first = found.first else { return nil }
    return printable(names.appendDirectory + "/" + first)
      + (found.count == 1 ? "" : " and \(found.count - 1) more")
      + ", which no manifest lists"
  }

  // MARK: appendonly yes

  private static func withAOF(_ facts: DataFacts, _ names: ServerNames) -> ServerStart {
    let manifestPath = printable(names.appendDirectory + "/" + names.manifest)
    switch facts.manifest {
    case .broken(let reason):
      return .refuses(
        reason: "the AOF manifest \(manifestPath) is invalid: \(reason)", remedy: rewrite())
    case .valid(let manifest):
      var holdsData = false
      for entry in manifest.entries where entry.kind != .history {
        switch facts.files[entry.file] ?? .absent {
        case .absent:
          return .refuses(
            reason: "the AOF manifest lists \(printable(entry.file)), which is missing",
            remedy: rewrite())
        case .broken(let reason):
          return .refuses(
            reason: "\(printable(entry.file)) can't be loaded: \(reason)",
            remedy: rewrite(checking: manifestPath))
        case .data, .unknown: holdsData = true
        case .empty: break
        }
      }
      return holdsData ? .loads("the AOF") : .startsEmpty(ignoring: dumpWithData(facts, names))
    case .absent: return withoutManifest(facts, names)
    }
  }

  /// A single AOF is loaded. Redis 7 and later also adopts it as the BASE of a new one.
  private static func withoutManifest(_ facts: DataFacts, _ names: ServerNames) -> ServerStart {
    let file = printable(names.appendFile)
    switch facts.legacy {
    case .data, .unknown: return .loads(file)
    case .broken(let reason):
      return .refuses(
        reason: "\(file) can't be loaded: \(reason)", remedy: rewrite(checking: file))
    case .empty, .absent:
      let ignored = [strays(facts, names), dumpWithData(facts, names)].compactMap { $0 }
      return .startsEmpty(ignoring: ignored.isEmpty ? nil : ignored.joined(separator: ", and "))
    }
  }

  private static func dumpWithData(_ facts: DataFacts, _ names: ServerNames) -> String? {
    facts.dump.holdsData ? "\(printable(names.dump)), which holds keys" : nil
  }

  /// A running server holds the data in memory: a rewrite creates the directory, its files and the manifest
  /// again. Measured with each of them deleted or damaged.
  private static func rewrite(checking path: String? = nil) -> String {
    "while Redis is running, `redis-cli BGREWRITEAOF` writes a valid AOF; otherwise "
      + (path.map { "copy it and truncate it there with `redis-check-aof --fix \($0)`, or " } ?? "")
      + "restore with --replace, which moves it aside"
  }
}

extension DataFacts.Content {
  /// A server may load some of it.
  fileprivate var holdsData: Bool {
    switch self {
    case .data, .unknown: true
    case .absent, .empty, .broken: false
    }
  }
}
