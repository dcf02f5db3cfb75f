package import BackupFormat
import BackupLogic
package import BackupTypes
package import ObjectStorage

/// What `inspect --repo` shows of one restore point.
package struct PointInspection: Sendable, Encodable {
  package struct File: Sendable, Encodable {
    package var path: String
    package var bytes: UInt64
  }
  package struct Destructive: Sendable, Encodable {
    package var command: String
    package var at: String
    package var before: String
    /// What brings the state before it back.
    package var restore: String
  }

  package var point: String
  package var instant: String
  package var primary: String
  package var loadsWithAppendonlyYes: String?
  package var loadsWithAppendonlyNo: String?
  package var files: [File]
  package var dataset: DatasetRecord?
  package var logBytesBehindDataset: UInt64
  package var destructive: [Destructive]
  package var warnings: [String]

  package static func make(
    _ store: any ObjectStore, keys: KeySource = .none, selection: PointSelection, now: Instant
  ) async throws -> PointInspection {
    guard let repository = try await Repository.open(store, keys: keys) else {
      throw LifeboatError(
        .noBackup, "there is no backup at \(store.location)", hint: "check the bucket and prefix")
    }
    let history = try await repository.history()
    let reader = HistoryReader(repository: repository, history: history)
    guard let point = try await PointChooser(reader: reader, now: now).choose(selection) else {
      throw LifeboatError(.noBackup, "there is no restore point at \(store.location) yet")
    }
    let plan = try RestorePlanner(
      history: history, point: point, indexes: try await reader.indexes(of: point.snapshot),
      options: .init()
    ).plan()
    let drops = try await reader.snapshots(of: point.timeline).values
      .sorted { $0.sequence < $1.sequence }.compactMap { snapshot in
        snapshot.destructive.map { drop in
          let id =
            "\(snapshot.timeline).\(snapshot.sequence)@\(drop.before.ordinal):\(drop.before.offset)"
          return Destructive(
            command: drop.command, at: drop.at.description, before: id,
            restore: "lifeboat restore --repo \(store.location) --point \(id) --data DIR")
        }
      }
    return PointInspection(
      point: point.id, instant: point.instant.description, primary: point.primary.rawValue,
      loadsWithAppendonlyYes: plan.loadsWithYes?.description,
      loadsWithAppendonlyNo: plan.loadsWithNo?.description,
      files: plan.files.map { .init(path: $0.path, bytes: $0.size) }, dataset: plan.dataset,
      logBytesBehindDataset: plan.files.filter { $0.role == .increment || $0.role == .legacy }
        .reduce(0) { $0 + $1.size },
      destructive: drops, warnings: plan.warnings)
  }

  package var text: String {
    var text = "restore point \(point) of \(instant), by its \(primary == "aof" ? "AOF" : "dump")\n"
    text += "  a server with appendonly yes loads: \(loadsWithAppendonlyYes ?? "nothing")\n"
    text += "  a server with appendonly no loads:  \(loadsWithAppendonlyNo ?? "nothing")\n"
    for file in files { text += "  \(file.path)  \(humanBytes(file.bytes))\n" }
    if let dataset { text += dataset.text }
    if logBytesBehindDataset > 0 {
      text += "and \(humanBytes(logBytesBehindDataset)) of commands behind it\n"
    }
    for drop in destructive {
      text += "\(drop.command) at \(drop.at); the state before it:\n  \(drop.restore)\n"
    }
    for warning in warnings { text += "warning: \(warning)\n" }
    return text
  }
}

extension DatasetRecord {
  /// The counts of a full copy, as a person reads them.
  package var text: String {
    var text = "full copy by \(server.map { printable($0) } ?? "an unknown server"), "
    text += "RDB version \(rdbVersion): \(keys) keys, \(elements) elements"
    if functions > 0 { text += ", \(functions) function libraries" }
    text += "\n"
    for database in databases {
      text += "  db \(database.number): \(database.keys) keys, \(database.expires) with an expiry\n"
      for (type, kind) in database.types.sorted(by: { $0.key < $1.key }) {
        text +=
          "    \(type): \(kind.keys) keys, \(kind.elements) elements, \(humanBytes(kind.bytes))\n"
      }
    }
    return text
  }
}
