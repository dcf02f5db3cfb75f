import BackupTypes
import FoundationEssentials
import Logging
import SystemIO

/// Log lines on standard error as JSON, one object a line: `time`, `level`, `message`, and the facts
/// under `facts`.
struct JSONLog: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .info

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  private struct Line: Encodable {
    var time: String
    var level: String
    var message: String
    var facts: [String: String]?
  }

  func log(event: LogEvent) {
    let facts = metadata.merging(event.metadata ?? [:]) { $1 }.mapValues { "\($0)" }
    let line = Line(
      time: "\(SystemClock.now())", level: "\(event.level)", message: "\(event.message)",
      facts: facts.isEmpty ? nil : facts)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let bytes = try? encoder.encode(line) else { return }
    Console.note(Console.jsonText(bytes))
  }
}

enum LogFormat: String, Sendable, CaseIterable {
  case text, json

  func logger() -> Logger {
    var logger = Logger(label: "lifeboat") { _ in
      switch self {
      case .text: StandardErrorLog()
      case .json: JSONLog()
      }
    }
    logger.logLevel = .info
    return logger
  }
}
