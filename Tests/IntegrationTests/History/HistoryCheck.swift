import BackupTypes
import RepositoryAccess
import SystemIO
import TestSupport
import Testing

/// The result of one restore to a time.
struct HistoryCheck {
  var directory: String
  /// The number of the model's steps in the restored state.
  var count: Int
  /// Whether the state has everything that had been executed by the end of that second, and nothing else.
  var isExact: Bool
}

/// The restore point before a gap, as the error about the gap names it.
private struct GapSide {
  var id: String
  var instant: String

  init?(named text: String) {
    guard text.contains("between two recovery windows"),
      let found = text.firstMatch(of: /--point ([^ ]+) \(of ([^)]+)\)/)
    else { return nil }
    (id, instant) = (String(found.1), String(found.2))
  }
}

extension RandomHistory {
  /// Restores to `instant`, starts a server there, and compares.
  ///
  /// With annotations, the state is exactly that at the end of the second. Without them, it is that at the
  /// instant that the restore prints: a mark has the time of its file's last write, however slow the machine
  /// is. The state may only be older than the requested instant if `list` shows that the log does not
  /// continue.
  /// - Parameter timelines: the model's timelines.
  func check(
    _ instant: Instant, of model: HistoryModel, in timelines: ClosedRange<Int>,
    _ arguments: [String] = []
  ) async throws -> HistoryCheck? {
    let target = try place.folder.makeDirectory("at-\(UInt32.random(in: 0 ... .max))")
    var result = try await place.run(
      "restore", ["--json", "--data", target, "--at", "\(instant)"] + arguments)
    // Between two windows, the restore names the points on both sides. The one before is checked.
    let before = result.exitCode == 3 ? GapSide(named: result.outputText) : nil
    if let before {
      result = try await place.run("restore", ["--json", "--data", target, "--point", before.id])
    }
    let listed =
      try await place.run("list", []).outputText + place.run("list", ["--json"]).outputText
    let what = "\(description)\nat \(instant): \(result)\n\(listed)"
    guard result.exitCode == 0, let text = result.jsonText("instant") else {
      Issue.record("\(what)")
      return nil
    }
    let printed = try Instant(parsing: before?.instant ?? text, now: instant)
    #expect(printed <= instant, "\(what)")
    let found = try await loaded(target)
    var check = HistoryCheck(directory: target, count: 0, isExact: false)
    if annotates, let expected = model.count(throughSecond: instant) {
      check.isExact = model.dataset(expected) == found
      check.count = expected
      guard !check.isExact else { return check }
    }
    // The times of an annotation and of a full copy are whole seconds.
    let isSecond = printed.milliseconds % 1000 == 0
    var range = model.counts(by: printed)
    if isSecond {
      range =
        range.lowerBound...model.counts(by: printed.advanced(byMilliseconds: 1000)).upperBound
    }
    guard let count = model.count(giving: found, in: range) else {
      let all = 0...model.steps.count
      let other = model.count(giving: found, in: all).map { "that after \($0) steps" }
      Issue.record(
        "a state that is not that of \(printed), steps \(range), but \(other ?? "none"), \(what)")
      return nil
    }
    check.count = count
    if annotates {
      let isCovered = try await covers(instant, timelines)
      #expect(!isCovered, "the log goes on, and the state is older than \(instant): \(what)")
    }
    return check
  }

  /// Whether `list` shows that the whole second can be restored.
  private func covers(_ instant: Instant, _ timelines: ClosedRange<Int>) async throws -> Bool {
    let listed = try await place.listing().timelines.filter { timelines.contains($0.number.value) }
    return try listed.flatMap(\.points).contains { point in
      let (from, to) = (
        try Instant(parsing: point.from, now: instant), try Instant(parsing: point.to, now: instant)
      )
      return from <= instant && instant.advanced(byMilliseconds: 1000) <= to
    }
  }

  private func loaded(_ directory: String) async throws -> Dataset {
    // A copy, because the server writes to it, and the history may continue from the original.
    let copy = directory + "-loaded"
    try TestFiles.copyTree(directory, to: copy)
    defer { TestFiles.remove(copy) }
    let server = try await RedisServer.start(
      version, directory: copy, options: ["appendonly": "yes", "aof-load-truncated": "no"])
    defer { server.kill() }
    return try await server.dataset()
  }

  /// A random time from `first` to `last`. With annotations, it is in a second for which the executed steps
  /// are known.
  func anyInstant(from first: Instant, to last: Instant, of model: HistoryModel) -> Instant? {
    if !annotates {
      guard first < last else { return nil }
      return Instant(
        milliseconds: .random(in: first.milliseconds...last.milliseconds, using: &random))
    }
    let seconds =
      first.milliseconds / 1000 + 1...max(first.milliseconds / 1000 + 1, last.milliseconds / 1000)
    return seconds.map { Instant(seconds: $0) }
      .filter { $0 <= last && model.count(throughSecond: $0) != nil }
      .randomElement(using: &random)
  }
}
