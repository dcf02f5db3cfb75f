import BackupFormat
import BackupTypes
import TestSupport

/// Repositories that a page has to show correctly.
enum MadeHistories {
  private static let minute: Int64 = 60_000
  private static let hour: Int64 = 3_600_000
  private static let day: Int64 = 86_400_000

  static func empty(_ path: String, now: Instant) async throws {
    _ = try await MadeHistory(path, at: now.advanced(byMilliseconds: -minute))
  }

  static func onePoint(_ path: String, now: Instant) async throws {
    let begin = now.advanced(byMilliseconds: -5 * minute)
    let made = try await MadeHistory(path, at: begin)
    try await made.start(at: begin)
    try await made.dump(at: begin.advanced(byMilliseconds: 1500), bytes: 88 << 20, keys: 120_000)
  }

  /// A week of a Redis with four rewrites a day: two restarts, one of which left an abandoned branch, an hour
  /// in which the store was unavailable, a FLUSHALL, and a daily drill.
  static func week(_ path: String, now: Instant) async throws {
    let begin = now.advanced(byMilliseconds: -7 * day)
    let made = try await MadeHistory(path, at: begin)
    try await made.start(at: begin)
    var random = SeededRandom(seed: 7)
    var time = begin
    var step = 0
    while time < now {
      let keys = UInt64(120_000 + step * 40)
      if step % 36 == 0 {
        try await made.rewrite(
          at: time, bytes: UInt64(80 << 20) + UInt64(step) * 90_000, keys: keys)
      }
      if step == 290 { try await made.end(at: time) }
      if step == 293 { try await made.start(at: time) }
      // The volume was replaced by a copy from half an hour before.
      if step == 700 { try await made.start(at: time, cutBack: 60_000) }
      if step < 290 || step >= 293 {
        let isAway = (420..<426).contains(step)
        let lag =
          isAway ? Int64(426 - step) * 10 * minute : Int64.random(in: 300...1900, using: &random)
        let bytes = UInt64.random(in: 9000...30_000, using: &random)
        try await made.write(bytes, at: time.advanced(byMilliseconds: 5 * minute), lag: lag)
      }
      if step == 520 {
        try await made.drop("FLUSHALL", at: time.advanced(byMilliseconds: 6 * minute))
      }
      if step % 144 == 100 { try await made.drill(at: time) }
      time = time.advanced(byMilliseconds: 10 * minute)
      step += 1
    }
  }

  /// No shipper ran for five hours, and the AOF was switched off and on.
  static func gap(_ path: String, now: Instant) async throws {
    var time = now.advanced(byMilliseconds: -12 * hour)
    let made = try await MadeHistory(path, at: time)
    try await made.start(at: time)
    try await made.rewrite(at: time, bytes: 10 << 20, keys: 1000)
    for _ in 0..<12 {
      time = time.advanced(byMilliseconds: 10 * minute)
      try await made.write(2000, at: time)
    }
    time = time.advanced(byMilliseconds: 5 * hour)
    try await made.start(at: time, hasCommonLog: false)
    try await made.rewrite(at: time, bytes: 10 << 20, keys: 1000)
    for _ in 0..<6 {
      time = time.advanced(byMilliseconds: 10 * minute)
      try await made.write(2000, at: time)
    }
    time = time.advanced(byMilliseconds: 90 * minute)
    try await made.rewrite(at: time, bytes: 11 << 20, keys: 1100, isProved: false)
    for _ in 0..<6 {
      time = time.advanced(byMilliseconds: 10 * minute)
      try await made.write(2000, at: time)
    }
  }

  /// Five days that end with a FLUSHALL or, without `command`, with many DELs.
  static func flushed(_ path: String, now: Instant, command: String? = "FLUSHALL") async throws {
    var time = now.advanced(byMilliseconds: -5 * day)
    let made = try await MadeHistory(path, at: time)
    try await made.start(at: time)
    made.keys = 1200
    while time < now.advanced(byMilliseconds: -20 * minute) {
      if time.since(now) % (12 * hour) == 0 {
        try await made.rewrite(at: time, bytes: 30 << 20, keys: 1200)
      }
      time = time.advanced(byMilliseconds: 20 * minute)
      try await made.write(4000, at: time)
    }
    time = now.advanced(byMilliseconds: -minute / 2)
    try await made.write(4000, at: time)
    guard let command else { return try await made.count(3, at: time) }
    made.keys = 0
    try await made.drop(command, at: time)
  }

  /// A volume that came back empty. Nobody has answered the question yet.
  static func suspect(_ path: String, now: Instant) async throws {
    var time = now.advanced(byMilliseconds: -4 * hour)
    let made = try await MadeHistory(path, at: time)
    try await made.start(at: time)
    try await made.rewrite(at: time, bytes: 200 << 20, keys: 90_000)
    for _ in 0..<18 {
      time = time.advanced(byMilliseconds: 10 * minute)
      try await made.write(4000, at: time)
    }
    try await made.pin("p-suspect", .start, "the dataset is empty", at: time)
    time = time.advanced(byMilliseconds: 10 * minute)
    try await made.start(
      at: time, hasCommonLog: false,
      suspicion: .init(reason: .empty, detail: hostile, pin: "p-suspect"))
    try await made.rewrite(at: time, bytes: 88, keys: 0)
    try await made.write(100, at: time.advanced(byMilliseconds: minute))
  }

  /// Text that somebody who can write to the bucket might put into a record.
  static let hostile =
    "empty, 90000 keys before </script><img src=x onerror=alert(1)>\"'><svg onload=alert(2)>\u{202e}"
}
