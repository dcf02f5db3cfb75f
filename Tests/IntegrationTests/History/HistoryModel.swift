import BackupTypes
import TestSupport

/// The commands that a server was given, in order, with their times. Restores are compared with this model.
struct HistoryModel {
  /// One unit: a command, or a transaction.
  struct Step {
    var commands: [[String]]
    var notBefore: Instant
    var notAfter: Instant
  }

  var steps: [Step] = []

  /// The largest difference between the server's clock, the kernel's coarse clock for file times, and ours.
  static let clockSlack: Int64 = 30

  /// The smallest and largest number of steps that can have been executed by `instant`.
  func counts(by instant: Instant, slack: Int64 = clockSlack) -> ClosedRange<Int> {
    let least = steps.firstIndex { $0.notAfter.advanced(byMilliseconds: slack) >= instant }
    let most = steps.lastIndex { $0.notBefore <= instant.advanced(byMilliseconds: slack) }
    return (least ?? steps.count)...max(least ?? steps.count, most.map { $0 + 1 } ?? 0)
  }

  /// How many steps had been executed by the end of the second of `instant`; nil if one was executed at that
  /// moment.
  func count(throughSecond instant: Instant) -> Int? {
    let next = Instant(seconds: instant.milliseconds / 1000 + 1)
    let range = counts(by: next)
    return range.lowerBound == range.upperBound ? range.lowerBound : nil
  }

  /// The dataset of a server that was given the first `count` steps.
  func dataset(_ count: Int) -> Dataset {
    var strings: [String: String] = [:]
    for step in steps.prefix(count) {
      for command in step.commands { HistoryModel.apply(command, to: &strings) }
    }
    return HistoryModel.dataset(strings)
  }

  /// The number of steps in `range` that gives `dataset`; nil if none does.
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
