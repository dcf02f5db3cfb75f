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
    /// Keys before it, and how many it removed, as far as the log tells.
    package var keysBefore: UInt64?
    package var keysRemoved: UInt64?
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
    let chooser = PointChooser(reader: reader, now: now)
    guard let point = try await chooser.choose(selection) else {
      throw LifeboatError(.noBackup, "there is no restore point at \(store.location) yet")
    }
    let plan = try RestorePlanner(
      history: history, point: point, indexes: try await reader.indexes(of: point.snapshot),
      options: .init()
    ).plan()
    let drops = try await drops(before: point, chooser, store)
    return PointInspection(
      point: point.id, instant: point.instant.description, primary: point.primary.rawValue,
      loadsWithAppendonlyYes: plan.loadsWithYes?.description,
      loadsWithAppendonlyNo: plan.loadsWithNo?.description,
      files: plan.files.map { .init(path: $0.path, bytes: $0.size) }, dataset: plan.dataset,
      logBytesBehindDataset: plan.files.filter { $0.role == .increment || $0.role == .legacy }
        .reduce(0) { $0 + $1.size },
      destructive: drops, warnings: plan.warnings)
  }

  /// By the log, and for what lies further back by the snapshots that were cut for it.
  private static func drops(
    before point: RestorePoint, _ chooser: PointChooser, _ store: any ObjectStore
  ) async throws -> [Destructive] {
    func restore(_ id: String) -> String {
      "lifeboat restore --repo '\(store.location)' --point \(id) --data DIR"
    }
    var drops: [(at: Instant, drop: Destructive)] = []
    let found = try await chooser.drops(before: point)
    for one in found {
      let id = one.point.id
      drops.append(
        (
          one.occurrence.at,
          Destructive(
            command: one.occurrence.command, at: one.occurrence.at.description, before: id,
            keysBefore: one.occurrence.keysBefore, keysRemoved: one.occurrence.keysRemoved,
            restore: restore(id))
        ))
    }
    let places = Set(found.map(\.occurrence.before))
    for snapshot in try await chooser.reader.snapshots(of: point.timeline).values {
      guard let drop = snapshot.destructive, !places.contains(drop.before) else { continue }
      let id = RestorePoint(
        snapshot: snapshot, primary: .aof, cut: drop.before, instant: drop.at
      ).id
      drops.append(
        (
          drop.at,
          Destructive(
            command: drop.command, at: drop.at.description, before: id, restore: restore(id))
        ))
    }
    return drops.sorted { $0.at < $1.at }.map(\.drop)
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
      text += drop.text
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

extension PointInspection.Destructive {
  fileprivate var text: String {
    var text = command
    if command == "DEL" || command == "UNLINK", let keysRemoved {
      text = "\(keysRemoved) keys removed one by one (\(command)), beginning"
    }
    text += " at \(at)"
    if let keysBefore { text += ", \(keysBefore) keys before it" }
    return text + "; the state before it:\n  \(restore)\n"
  }
}
