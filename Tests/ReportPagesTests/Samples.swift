import BackupFormat
import BackupTypes
import HistoryLogic

@testable import ReportPages

/// Pictures for the drawing tests.
enum Samples {
  static let day: Int64 = 86_400_000
  static let now = Instant(milliseconds: 1_795_600_000_000)
  static func ago(_ milliseconds: Int64) -> Instant { now.advanced(byMilliseconds: -milliseconds) }
  static let command = RestoreCommand(repository: "/backups/redis", isEncrypted: false)
  /// Text that somebody who can write to a bucket may try.
  static let hostile = "</script><img src=x onerror=alert(1)>\"'`&<!--\u{202e}\u{0}${x}"

  static func page(_ chronicle: Chronicle?, live: LiveView? = nil) -> String {
    let page = ReportPage(
      chronicle: chronicle, command: command, live: live, now: now, version: "1.0")
    return String(decoding: page.bytes, as: UTF8.self)
  }

  static func chronicle() -> Chronicle {
    Chronicle(
      repository: String(repeating: "ab", count: 16), location: "file:///backups/redis",
      cipher: "none", readAt: now)
  }

  /// Two timelines with a branch, a gap, an open suspicion, dumps, and one event of each kind.
  static func eventful(_ text: String = "text") -> Chronicle {
    var made = chronicle()
    made.location = text
    made.newest = .init(id: "2.3@1:10", at: ago(60_000))
    made.suspicion = .init(timeline: .first.next!, detail: text, pin: text, before: "1.1")
    made.timelines = [
      .init(
        number: .first, source: text, instance: text, claimedAt: ago(3 * day), isClosed: true,
        snapshots: 2,
        windows: [
          .init(from: ago(3 * day), to: ago(2 * day)),
          .init(from: ago(2 * day), to: ago(2 * day - 21_600_000), isAbandoned: true),
        ]),
      .init(
        number: .first.next!, source: text, instance: text, claimedAt: ago(day), parent: .first,
        fork: "1/1/10", suspicion: text, snapshots: 3,
        windows: [.init(from: ago(day), to: ago(60_000))],
        points: [.init(id: "2.1", at: ago(day / 2))]),
    ]
    made.events = Chronicle.Event.Kind.allCases.enumerated().map { index, kind in
      .init(
        kind: kind, at: ago(day - Int64(index) * 3_600_000), timeline: .first, detail: text,
        restore: kind == .destructive ? "--point 1.1@1:7" : nil)
    }
    made.generations = [
      .init(
        GenerationIndex(
          generation: GenerationID(
            fingerprint: ShortDigest(bytes: Array(0..<16))!, nonce: Nonce(bytes: Array(0..<16))!),
          kind: .base, file: text, size: 1 << 20, pieces: [], contentAt: ago(day),
          verdict: .good, remark: text,
          dataset: DatasetRecord(
            server: text, rdbVersion: 12, isValkey: false,
            databases: [.init(number: 0, keys: 12, expires: 0, types: [:])], functions: 0)),
        isQuarantined: true)
    ]
    made.lastDrill = .init(
      Drill(
        id: "1", repository: Nonce(bytes: Array(0..<16))!, at: ago(day), point: text,
        instant: ago(day), isPassed: false, restoreMilliseconds: 1000, loadMilliseconds: 2000,
        bytes: 3, server: text, keys: 4, elements: 5, values: 6, differences: [text]))
    for step in 0..<200 {
      made.log.add(
        at: ago(Int64(step) * 900_000), bytes: 1000, storedBytes: 300, lag: Int64(step) * 10)
    }
    return made
  }

  /// A FLUSHALL that nobody has accepted or, without a command, many DELs.
  static func flushed(_ command: String? = "FLUSHALL") -> Chronicle {
    var made = eventful()
    made.suspicion = nil
    made.removals = [
      .init(
        command: command, from: ago(7_200_000), at: ago(3_600_000), keysBefore: 1200,
        keysAfter: command == nil ? 3 : nil,
        restore: command == nil ? "--at \(ago(7_200_000))" : "--point 2.2@1:7",
        pin: command == nil ? nil : "p1", isOpen: true)
    ]
    return made
  }

  /// Times and sizes that only occur in forged records.
  static func extreme(at first: Int64, and second: Int64, size: UInt64) -> Chronicle {
    var made = eventful()
    let (one, other) = (Instant(milliseconds: first), Instant(milliseconds: second))
    made.bytes = size
    made.newest?.at = other
    made.timelines[0].claimedAt = one
    made.timelines[0].windows[0] = .init(from: min(one, other), to: max(one, other))
    made.timelines[1].points = [.init(id: "2.1", at: one), .init(id: "2.2", at: other)]
    made.events[0].at = one
    made.events[1].at = other
    made.generations[0].at = one
    (made.generations[0].bytes, made.generations[0].keys) = (size, size)
    made.generations[0].elements = size
    made.log.add(at: one, bytes: size, storedBytes: size, lag: second)
    made.log.add(at: other, bytes: size, storedBytes: size, lag: first)
    made.lastDrill?.restoreSeconds = Double(first)
    made.lastDrill?.bytes = size
    return made
  }

  /// A picture with the maximum of everything.
  static func fullest() -> Chronicle {
    var made = eventful(String(repeating: "<", count: 200))
    let number = { (index: Int) in TimelineNumber(index + 1)! }
    made.timelines = (0..<ChronicleBuilder.Bounds.timelines).map { index in
      let begin = ago(30 * day - Int64(index) * 20_000_000)
      let text = String(repeating: "<", count: 200)
      return Chronicle.Timeline(
        number: number(index), source: text, instance: text, claimedAt: begin, suspicion: text,
        windows: (0..<20).map { part in
          let from = begin.advanced(byMilliseconds: Int64(part) * 1_000_000)
          return .init(
            from: from, to: from.advanced(byMilliseconds: 400_000), isAbandoned: part > 10)
        },
        points: (0..<20).map { part in
          .init(id: "1.\(part)", at: begin.advanced(byMilliseconds: Int64(part) * 900_000))
        })
    }
    made.events = Chronicle.Event.Kind.allCases.flatMap { kind in
      (0..<ChronicleBuilder.Bounds.events).map { index in
        .init(
          kind: kind, at: ago(Int64(index) * 20_000_000), timeline: .first,
          detail: String(repeating: "<", count: 200), restore: "--point 1.1@1:7")
      }
    }
    made.generations = (0..<ChronicleBuilder.Bounds.generations).map { index in
      var one = eventful().generations[0]
      one.at = ago(Int64(index) * 5_000_000)
      return one
    }
    for step in 0..<100_000 {
      made.log.add(at: ago(Int64(step) * 25_000), bytes: 9, storedBytes: 5, lag: 700)
    }
    return made
  }
}
