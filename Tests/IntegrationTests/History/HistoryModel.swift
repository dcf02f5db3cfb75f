import BackupTypes
import TestSupport

/// What a server was given, in order, and when: the model that restores are compared with.
struct HistoryModel {
  /// One unit: a command, or a transaction.
  struct Step {
    var commands: [[String]]
    var notBefore: Instant
    var notAfter: Instant
  }

  var steps: [Step] = []

  /// Between the server's clocks, the kernel's coarse one that stamps files, and ours.
  static let clockSlack: Int64 = 30

  /// So many steps had certainly been executed by `instant`, and so many at most.
  func counts(by instant: Instant, slack: Int64 = clockSlack) -> ClosedRange<Int> {
    let least = steps.firstIndex { $0.notAfter.advanced(byMilliseconds: slack) >= instant }
    let most = steps.lastIndex { $0.notBefore <= instant.advanced(byMilliseconds: slack) }
    return (least ?? steps.count)...max(least ?? steps.count, most.map { $0 + 1 } ?? 0)
  }

  /// How many steps had been executed when the second of `instant` was over; nil when one was just then.
  func count(throughSecond instant: Instant) -> Int? {
    let next = Instant(seconds: instant.milliseconds / 1000 + 1)
    let range = counts(by: next)
    return range.lowerBound == range.upperBound ? range.lowerBound : nil
  }

  /// What a server holds that was given the first `count` steps.
  func dataset(_ count: Int) -> Dataset {
    var strings: [String: String] = [:]
    for step in steps.prefix(count) {
      for command in step.commands { HistoryModel.apply(command, to: &strings) }
    }
    return HistoryModel.dataset(strings)
  }

  /// The number of steps in `range` that give `dataset`; nil when none does.
  func count(giving dataset: Dataset, in range: ClosedRange<Int>) -> Int? {
    var strings: [String: String] = [:]
    for count in 0...range.upperBound {
      if count > 0 {
        for command in steps[count - 1].commands { HistoryModel.apply(command, to: &strings) }
      }
      if count >= range.lowerBound, HistoryModel.dataset(strings) == dataset { return count }
    }
    return nil
  }

  private static func apply(_ command: [String], to strings: inout [String: String]) {
    switch command[0] {
    case "SET": strings[command[1]] = command[2]
    case "INCR": strings[command[1]] = "\((Int(strings[command[1]] ?? "0") ?? 0) + 1)"
    case "DEL": for key in command.dropFirst() { strings[key] = nil }
    case "FLUSHALL": strings = [:]
    default: preconditionFailure("the model does not know \(command[0])")
    }
  }

  private static func dataset(_ strings: [String: String]) -> Dataset {
    var dataset = Dataset()
    if !strings.isEmpty {
      dataset.databases[0] = Dictionary(
        uniqueKeysWithValues: strings.map {
          (Blob($0.key), .init(value: .string(Blob($0.value)), expiry: nil))
        })
    }
    return dataset
  }
}
