import BackupTypes
package import RedisFormats

/// The content of a data directory, as a server that starts on it would see it. The caller gathers these
/// facts; `docs/restore.md` has the table of what loads.
package struct DataFacts: Sendable, Equatable {
  /// What one file holds.
  package enum Content: Sendable, Equatable {
    case absent
    /// Nothing that a server would load as data: zero length, no keys, or only SELECT.
    case empty
    /// At least one key, function or command.
    case data
    /// It is in a form that this release can't read, or can't read to its end. It counts as data that a newer
    /// server may be able to load, and prevents no server from starting.
    case unknown(String)
    /// A server would not load it.
    case broken(String)
  }
  package enum Manifest: Sendable, Equatable {
    case absent
    case valid(AOFManifest)
    case broken(String)
  }

  package var dump: Content = .absent
  package var legacy: Content = .absent
  package var manifest: Manifest = .absent
  /// The files that the manifest names or, without a manifest, the files in the AOF directory, by name.
  package var files: [String: Content] = [:]

  package init() {}

  /// Files that count as data although they could not be read.
  package var warnings: [String] {
    let all =
      [("the dump", dump), ("the single AOF", legacy)]
      + files.sorted { $0.key < $1.key }.map { (printable($0.key), $0.value) }
    return all.compactMap { name, content in
      guard case .unknown(let reason) = content else { return nil }
      return
        "\(name) counts as data, but this release can't tell whether a server can load it: \(reason)"
    }
  }
}

/// The state of a data directory before a restore.
package enum DataVerdict: Sendable, Equatable {
  case empty
  case data(String)
  /// Data that Redis would not load, or would load as empty. It is never ignored. `remedy` fixes it.
  case broken(reason: String, remedy: String)

  package static func judge(_ facts: DataFacts, appendOnly: AppendOnly) -> DataVerdict {
    let aof = judgeAOF(facts)
    let dump = judgeDump(facts)
    switch appendOnly {
    case .unknown:
      if case .broken = aof { return aof }
      if case .data(let what) = aof { return .data(what) }
      return dump
    case .yes:
      if aof != .empty { return aof }
      guard case .data = dump else { return dump }
      // Beside an AOF that the server loads, an unreadable dump may also have no keys.
      if case .unknown = facts.dump, case .valid = facts.manifest { return dump }
      return .broken(
        reason: "dump.rdb holds keys, but a server with `appendonly yes` ignores it without an AOF "
          + "and starts empty",
        remedy:
          "start Redis once with `appendonly no` and run CONFIG SET appendonly yes, or restore "
          + "with --replace")
    case .no:
      if dump != .empty { return dump }
      guard case .data = aof else { return aof }
      return .broken(
        reason: "the AOF holds data, but a server with `appendonly no` ignores it and starts empty",
        remedy: "start Redis with `appendonly yes`, or restore with --replace")
    }
  }

  private static func judgeDump(_ facts: DataFacts) -> DataVerdict {
    switch facts.dump {
    case .absent, .empty: return .empty
    case .data, .unknown: return .data("dump.rdb")
    case .broken(let reason):
      return .broken(
        reason: "dump.rdb can't be loaded: \(reason)",
        remedy:
          "check it with `lifeboat inspect --data`, then restore with --replace, which moves "
          + "it aside")
    }
  }

  private static func judgeAOF(_ facts: DataFacts) -> DataVerdict {
    let remedy =
      "check it with `lifeboat inspect --data`, then restore with --replace, which moves it aside"
    switch facts.manifest {
    case .broken(let reason):
      return .broken(reason: "the AOF manifest is invalid: \(reason)", remedy: remedy)
    case .valid(let manifest):
      var holdsData = false
      for entry in manifest.entries where entry.kind != .history {
        switch facts.files[entry.file] ?? .absent {
        case .absent:
          return .broken(
            reason: "the AOF manifest lists \(printable(entry.file)), which is missing",
            remedy: remedy)
        case .broken(let reason):
          return .broken(
            reason: "\(printable(entry.file)) can't be loaded: \(reason)", remedy: remedy)
        case .data, .unknown: holdsData = true
        case .empty: break
        }
      }
      return holdsData ? .data("the AOF") : judgeLegacy(facts, isAdopted: false)
    case .absent:
      // Zero-length INCRs and an empty BASE without a manifest are left by a first start that crashed.
      if let stray = facts.files.first(where: { $0.value != .empty && $0.value != .absent }) {
        return .broken(
          reason:
            "the AOF directory contains \(printable(stray.key)) but no manifest: a server would "
            + "start empty, and mix it with new data at the start after that", remedy: remedy)
      }
      return judgeLegacy(facts, isAdopted: true)
    }
  }

  private static func judgeLegacy(_ facts: DataFacts, isAdopted: Bool) -> DataVerdict {
    switch facts.legacy {
    case .absent, .empty: return .empty
    // With a valid manifest a server ignores a stray legacy file.
    case .data, .unknown: return isAdopted ? .data("appendonly.aof") : .empty
    case .broken(let reason):
      guard isAdopted else { return .empty }
      return .broken(
        reason: "appendonly.aof can't be loaded: \(reason)",
        remedy: "check it with `lifeboat inspect --data`, then restore with --replace")
    }
  }
}
