import BackupFormat
import BackupTypes
import HistoryLogic

/// For a person.
extension PointInspection {
  package var text: String {
    var text = "restore point \(point) of \(instant), by its \(primary == "aof" ? "AOF" : "dump")\n"
    text += "  a server with appendonly yes loads: \(loadsWithAppendonlyYes ?? "nothing")\n"
    text += "  a server with appendonly no loads:  \(loadsWithAppendonlyNo ?? "nothing")\n"
    for file in files { text += "  \(printable(file.path))  \(humanBytes(file.bytes))\n" }
    if let dataset { text += dataset.text }
    if logBytesBehindDataset > 0 {
      text += "and \(humanBytes(logBytesBehindDataset)) of commands after it\n"
    }
    text += keys?.text ?? ""
    if let keysUnread { text += "largest keys and Ray clusters are not shown: \(keysUnread)\n" }
    text += ray?.text("at this point") ?? ""
    for one in shrunk { text += one.text }
    for drop in destructive.suffix(PointInspection.dropsShown) { text += drop.text }
    let hidden = destructive.count - PointInspection.dropsShown
    if hidden > 0 { text += "and \(hidden) before these: --json shows them\n" }
    for warning in warnings { text += "warning: \(warning)\n" }
    return text
  }

  /// Only the last ones are shown: these are the ones that a person looks for.
  private static let dropsShown = 20
}

extension PointInspection.Shrinkage {
  fileprivate var text: String {
    "between the full copies of \(from) and \(to): from \(counted(keysBefore, "key")) with \(elementsBefore) "
      + "elements to \(keysAfter) with \(elementsAfter); the first of them:\n  \(restore)\n"
  }
}

extension DatasetRecord {
  /// The counts of a full copy, as a person reads them.
  package var text: String {
    // A BASE of commands without any effect.
    if rdbVersion == 0 { return "full copy without keys\n" }
    var text = "full copy by \(server.map { printable($0) } ?? "an unknown server"), "
    text += "RDB version \(rdbVersion): \(counted(keys, "key")), \(counted(elements, "element"))"
    if functions > 0 { text += ", \(counted(functions, "function library", "function libraries"))" }
    text += "\n"
    if let oldestServer { text += "  loads in \(oldestServer) and newer\n" }
    for database in databases {
      text +=
        "  db \(database.number): \(counted(database.keys, "key")), \(database.expires) with an expiry\n"
      for (type, kind) in database.types.sorted(by: { $0.key < $1.key }) {
        text +=
          "    \(printable(type)): \(counted(kind.keys, "key")), \(counted(kind.elements, "element")), \(humanBytes(kind.bytes))\n"
      }
    }
    return text
  }
}

extension PointInspection.Destructive {
  fileprivate var text: String {
    var text = command
    if isRow {
      text =
        keysRemoved.map { "\(counted($0, "key"))" }
        ?? "about \(counted(elementsRemoved ?? 0, "element"))"
      text += " removed one by one (\(command)), beginning"
    }
    text += " at \(at)"
    if let keysBefore { text += ", \(counted(keysBefore, "key"))" }
    if let elementsBefore, elementsBefore != keysBefore {
      text += " with about \(counted(elementsBefore, "element"))"
    }
    if keysBefore != nil { text += " before it" }
    return text + "; the state before it:\n  \(restore)\n"
  }
}
