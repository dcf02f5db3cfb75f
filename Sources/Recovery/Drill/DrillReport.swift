import BackupTypes

/// What a drill found.
package struct DrillReport: Sendable, Encodable {
  /// The maximum number of differences kept; the others are counted.
  static let differencesMax = 100

  package var id: String
  package var repository: String
  package var location: String
  package var at: String
  package var isPassed: Bool
  package var point: String
  package var instant: String
  package var primary: String
  /// The server that wrote the full copy, as far as the copy says.
  package var recordedServer: String?
  package var server: String
  package var bytes: UInt64
  /// From the first request to a directory that a server may start on.
  package var restoreSeconds: Double
  /// From there until the server answered; absent when it did not.
  package var loadSeconds: Double?
  /// Both together.
  package var recoverySeconds: Double?
  /// The number of keys in the server.
  package var keys: UInt64?
  package var elements: UInt64?
  /// The number of commands after the full copy. If there are any, only our own reading of the files says
  /// what the server must have.
  package var commands: UInt64
  /// What was compared: `record` (the server's keys and elements with the record of the full copy), `copy`
  /// (the same with our own reading of the full copy), `keyspace` (the server's own numbers of keys with the
  /// record, if this release can't read what the server saves), `values`.
  package var compared: [String]
  /// Values compared with our own reading.
  package var values: Int
  package var differences: [String]
  package var differencesLeftOut: Int
  /// Whether the result is in the repository, and if not, why.
  package var isRecorded: Bool
  package var warnings: [String]

  package var text: String {
    var text =
      "drill of \(point) of \(instant), by its \(primary == "aof" ? "AOF" : "dump"), with \(server)\n"
    text += "  restored \(humanBytes(bytes)) in \(restoreSeconds) s"
    if let loadSeconds, let recoverySeconds {
      text += ", loaded in \(loadSeconds) s: recovery takes \(recoverySeconds) s\n"
    } else {
      text += "\n"
    }
    if let keys, let elements {
      text += "  the server holds \(counted(keys, "key")), \(counted(elements, "element"))\n"
    }
    if compared.contains("record") {
      text += "  its keys and elements match the record of the full copy\n"
    } else if compared.contains("keyspace") {
      text += "  its numbers of keys match the record of the full copy\n"
    } else if compared.contains("copy") {
      text +=
        "  the full copy matches its record; it is followed by \(counted(commands, "command"))\n"
    }
    text += "  compared \(counted(values, "value")) with Lifeboat's own reading of the backup\n"
    for warning in warnings { text += "  warning: \(warning)\n" }
    for difference in differences { text += "  DIFFERS: \(difference)\n" }
    if differencesLeftOut > 0 { text += "  and \(differencesLeftOut) more\n" }
    return text + (isPassed ? "passed\n" : "FAILED\n")
  }
}
