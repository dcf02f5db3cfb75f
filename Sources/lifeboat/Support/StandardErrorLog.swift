import BackupTypes
import Logging
import SystemIO

/// Log lines on standard error: time, level, message, facts.
struct StandardErrorLog: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .info

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let facts = metadata.merging(event.metadata ?? [:]) { $1 }
    let text = facts.sorted { $0.key < $1.key }.map { "\($0.key)=\(quoted("\($0.value)"))" }
    Console.note(
      "\(SystemClock.now()) \(event.level) \(event.message)"
        + (text.isEmpty ? "" : "  " + text.joined(separator: " ")))
  }

  private func quoted(_ text: String) -> String {
    let isPlain = !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 < 0x7f }
    guard !isPlain else { return text }
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\n": result += "\\n"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
