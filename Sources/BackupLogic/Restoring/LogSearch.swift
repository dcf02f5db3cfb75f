package import BackupFormat
package import BackupTypes
package import RedisFormats

/// Looks through the log behind a full copy for commands that removed something, or for one by its name.
///
/// Fed with the events of each file in order. Bounded: of more occurrences than are kept the last stay.
package struct LogSearch: Sendable {
  package enum Question: Sendable, Equatable {
    /// A command by its name, in capitals.
    case command(String)
    /// Commands that remove whole databases, and rows of DEL or UNLINK that remove half of the keys.
    case drops
  }

  /// A place before which a restore may end.
  package struct Occurrence: Sendable, Equatable {
    /// `FLUSHALL`; for a row of removals `DEL` or `UNLINK`.
    package var command: String
    /// Where the log stood before it: of a transaction, before its MULTI.
    package var before: LogPosition
    /// When it was executed: to the second where the log has annotations, else when it was seen.
    package var at: Instant
    /// Keys before it, as far as names tell.
    package var keysBefore: UInt64
    /// Keys that it removed, where that is known.
    package var keysRemoved: UInt64?
  }

  package static let occurrencesMax = 256

  package private(set) var occurrences: [Occurrence] = []
  /// Earlier ones that are not kept.
  package private(set) var leftOut = 0

  private let question: Question
  private var keys: KeyEstimate
  private var database = 0
  /// The time of the last annotation, which goes on into the next file.
  private var annotated: Instant?
  private var transaction: LogPosition?
  private var row: Row?

  /// Keys removed one by one, with little else in between.
  private struct Row {
    var start: Occurrence
    var removed: UInt64 = 0
    /// Commands of another kind since it began.
    var others: UInt64 = 0
  }

  /// - Parameter keys: of the full copy that the log follows, by database.
  package init(_ question: Question, keys: [Int: UInt64]) {
    self.question = question
    self.keys = KeyEstimate(copied: keys)
  }

  /// A file of its own begins: a server starts it in database 0.
  package mutating func beginFile() {
    database = 0
    transaction = nil
  }

  /// - Parameters:
  ///   - place: where in the log the event begins.
  ///   - seenAt: when the file was seen to hold it.
  package mutating func take(
    _ event: AOFCommandReader.Event, at place: LogPosition, seenAt: Instant
  ) {
    switch event {
    case .timestamp(let seconds, _): annotated = Instant(seconds: seconds)
    case .command(let command): take(command, command.name, at: place, seenAt: seenAt)
    }
  }

  /// To be called once, behind the last event.
  package mutating func finish() { endRow() }

  private mutating func take(
    _ command: AOFCommandReader.Command, _ name: String, at place: LogPosition, seenAt: Instant
  ) {
    if name == "MULTI" { transaction = place }
    defer { if name == "EXEC" || name == "DISCARD" { transaction = nil } }
    let occurrence = Occurrence(
      command: name, before: transaction ?? place, at: annotated ?? seenAt,
      keysBefore: keys.total, keysRemoved: nil)
    switch question {
    case .command(let wanted):
      if wanted == name || wanted == fullName(command, name) { add(occurrence) }
    case .drops: note(occurrence, command, name)
    }
    follow(command, name)
  }

  // MARK: Drops

  private mutating func note(
    _ occurrence: Occurrence, _ command: AOFCommandReader.Command, _ name: String
  ) {
    switch name {
    case "DEL", "UNLINK":
      if row == nil { row = Row(start: occurrence) }
      row!.removed += command.count - 1
    case "SELECT", "MULTI", "EXEC": break
    case "FLUSHALL", "FLUSHDB", "SWAPDB":
      endRow()
      var drop = occurrence
      if name == "FLUSHALL" { drop.keysRemoved = drop.keysBefore }
      add(drop)
    default:
      if fullName(command, name) == "FUNCTION FLUSH" {
        endRow()
        var drop = occurrence
        drop.command = "FUNCTION FLUSH"
        add(drop)
      } else if row != nil {
        row!.others += 1
        if row!.others > max(8, row!.removed) { endRow() }
      }
    }
  }

  /// A row that removed half of the keys is a drop; a single key is none.
  private mutating func endRow() {
    guard var drop = row?.start, let removed = row?.removed else { return }
    row = nil
    guard removed >= 2, removed >= (drop.keysBefore + 1) / 2 else { return }
    drop.keysRemoved = removed
    add(drop)
  }

  private mutating func add(_ occurrence: Occurrence) {
    // Several in one transaction have one place before them.
    if occurrences.last?.before == occurrence.before { return }
    occurrences.append(occurrence)
    if occurrences.count > LogSearch.occurrencesMax {
      occurrences.removeFirst()
      leftOut += 1
    }
  }

  private func fullName(_ command: AOFCommandReader.Command, _ name: String) -> String {
    guard command.arguments.count > 1, let second = command.arguments[1], second.count <= 32 else {
      return name
    }
    return name + " " + String(decoding: second, as: UTF8.self).uppercased()
  }

  // MARK: Following

  private mutating func follow(_ command: AOFCommandReader.Command, _ name: String) {
    let arguments = command.arguments
    func argument(_ index: Int) -> [UInt8]? { index < arguments.count ? arguments[index] : nil }
    func number(_ index: Int) -> Int? {
      argument(index).flatMap { Int(String(decoding: $0, as: UTF8.self)) }
    }
    switch name {
    case "SELECT": database = number(1) ?? database
    case "FLUSHALL": keys.flushAll()
    case "FLUSHDB": keys.flush(database)
    case "SWAPDB":
      if let one = number(1), let other = number(2) { keys.swap(one, other) }
    case "DEL", "UNLINK": for key in arguments.dropFirst() { keys.remove(key, database) }
    case "MSET", "MSETNX":
      for index in stride(from: 1, to: arguments.count, by: 2) {
        keys.write(arguments[index], database)
      }
    case "RENAME", "RENAMENX":
      keys.remove(argument(1), database)
      keys.write(argument(2), database)
    case "MOVE":
      keys.remove(argument(1), database)
      keys.write(argument(1), number(2) ?? database)
    case "COPY": keys.write(argument(2), database)
    case _ where LogSearch.withoutKey.contains(name): break
    default: if arguments.count > 1 { keys.write(argument(1), database) }
    }
  }

  /// What names no key, or makes none.
  private static let withoutKey: Set<String> = [
    "MULTI", "EXEC", "DISCARD", "FUNCTION", "SCRIPT", "EVAL", "EVALSHA", "FCALL", "PUBLISH",
    "SPUBLISH", "PING", "EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "PERSIST", "HDEL", "SREM",
    "ZREM", "LPOP", "RPOP", "SPOP", "LREM", "LTRIM", "XDEL", "XTRIM", "XACK", "ZPOPMIN", "ZPOPMAX",
  ]
}
