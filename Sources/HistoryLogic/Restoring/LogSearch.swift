package import BackupFormat
package import BackupTypes
package import RedisFormats

/// Searches the log after a full copy for commands that removed something, or for one command by its name.
///
/// It is fed with the events of each file in order. The number of results is bounded: the last ones are
/// kept.
package struct LogSearch: Sendable {
  package enum Question: Sendable, Hashable {
    /// A command by its name, in capitals.
    case command(String)
    /// Commands that remove whole databases, and series of removals that take half of what there is.
    case drops
  }

  /// A position before which a restore may end.
  package struct Occurrence: Sendable, Equatable {
    /// `FLUSHALL`; for a series of removals the first command: `DEL`, `UNLINK`, `HDEL`, `SREM` or `ZREM`.
    package var command: String
    /// The position in the log before it; for a transaction, before its MULTI.
    package var before: LogPosition
    /// When it was executed, to the second, if the log has annotations. Otherwise when it was seen.
    package var at: Instant
    /// How many keys there were before it, as far as names show.
    package var keysBefore: UInt64
    /// How many keys it removed, if known.
    package var keysRemoved: UInt64?
    /// How many entries there were before it, and how many it removed. Both are estimates
    /// (`EntryEstimate`), and only for drops.
    package var entriesBefore: UInt64?
    package var entriesRemoved: UInt64?
    /// Whether it is a series of removals.
    package var isRow = false
  }

  package static let occurrencesMax = 256
  /// A series that removed fewer entries than this, and fewer than two keys, does not count: a tiny dataset
  /// often loses half of its entries.
  static let entriesMin: UInt64 = 32
  /// Removals that are further apart are not one series; milliseconds.
  static let rowGapMax: Int64 = 60_000

  package private(set) var occurrences: [Occurrence] = []
  /// The number of earlier ones that are not kept.
  package private(set) var leftOut = 0

  let question: Question
  var keys: KeyEstimate
  var entries: EntryEstimate
  var database = 0
  /// The time of the last annotation, which also applies at the beginning of the next file.
  private var annotated: Instant?
  private var transaction: LogPosition?
  private var row: Row?

  /// Keys or entries that were removed one by one, with few other commands in between.
  private struct Row {
    var start: Occurrence
    var keys: UInt64 = 0
    var entries: UInt64 = 0
    /// Commands of other kinds since it began.
    var others: UInt64 = 0
    /// The smallest number that was left after one of its removals.
    var keysLeft = UInt64.max
    var entriesLeft = UInt64.max
    /// When the last removal was.
    var last: Instant
    var removed: UInt64 { max(keys, entries) }
  }

  /// - Parameters:
  ///   - copy: the full copy that the log follows.
  ///   - census: the census of that copy, if it was read.
  package init(_ question: Question, copy: DatasetRecord?, census: EntryCensus? = nil) {
    self.question = question
    keys = KeyEstimate(copied: [:])
    entries = EntryEstimate(copied: [:], census: nil)
    load(copy, census)
  }

  /// Sets the state with which the log begins.
  package mutating func load(_ copy: DatasetRecord?, _ census: EntryCensus?) {
    var (copied, held): ([Int: UInt64], [Int: UInt64]) = ([:], [:])
    for database in copy?.databases ?? [] {
      copied[database.number] = database.keys
      held[database.number] = database.entries
    }
    keys = KeyEstimate(copied: copied, census: census)
    entries = EntryEstimate(copied: held, census: census)
  }

  /// Takes a command of a full copy that is itself a log.
  package mutating func load(_ command: AOFCommandReader.Command) {
    let nowhere = LogPosition(timeline: .first, ordinal: 0, offset: 0)
    follow(
      command, command.name,
      Occurrence(
        command: "", before: nowhere, at: Instant(milliseconds: 0), keysBefore: 0, keysRemoved: nil)
    )
    row = nil
  }

  /// A new file begins: a server starts it in database 0.
  package mutating func beginFile() {
    database = 0
    transaction = nil
  }

  /// - Parameters:
  ///   - place: the position in the log where the event begins.
  ///   - seenAt: when the file was seen to hold it.
  package mutating func take(
    _ event: AOFCommandReader.Event, at place: LogPosition, seenAt: Instant
  ) {
    switch event {
    case .timestamp(let seconds, _): annotated = Instant(seconds: seconds)
    case .command(let command): take(command, command.name, at: place, seenAt: seenAt)
    }
  }

  /// Call once, after the last event.
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
      if LogSearch.logged(wanted).contains(where: { $0 == name || $0 == fullName(command, name) }) {
        add(occurrence)
      }
    case .drops: note(occurrence, command, name)
    }
    follow(command, name, occurrence)
  }

  // MARK: Drops

  private mutating func note(
    _ occurrence: Occurrence, _ command: AOFCommandReader.Command, _ name: String
  ) {
    var drop = occurrence
    switch name {
    case _ where LogSearch.removing.contains(name): break  // when it is followed
    case "SELECT", "MULTI", "EXEC": break
    case "FLUSHALL", "FLUSHDB", "SWAPDB":
      endRow()
      drop.entriesBefore = entries.total
      if name == "FLUSHALL" {
        drop.keysRemoved = drop.keysBefore
        drop.entriesRemoved = drop.entriesBefore
      }
      if name == "FLUSHDB" { drop.entriesRemoved = entries.total(of: database) }
      add(drop)
    default:
      let full = fullName(command, name)
      if full == "FUNCTION FLUSH" || full == "CLUSTER FLUSHSLOT" {
        endRow()
        drop.command = full
        add(drop)
      } else if row != nil {
        row!.others += 1
        if row!.others > max(8, row!.removed) { endRow() }
      }
    }
  }

  /// Something was removed, as `occurrence` describes.
  mutating func extendRow(
    _ occurrence: Occurrence, keys count: UInt64, entries removed: UInt64, of total: UInt64
  ) {
    if let row {
      if row.others > row.removed || occurrence.at.since(row.last) > LogSearch.rowGapMax {
        // Removals before a pause, and removals of less than those that follow, are a separate series.
        endRow()
      } else if occurrence.keysBefore >= row.start.keysBefore,
        total >= row.start.entriesBefore ?? 0
      {
        // As much has been added as was removed since it began, so this is a lock or a queue.
        self.row = nil
      }
    }
    if row == nil {
      var start = occurrence
      (start.entriesBefore, start.isRow) = (total, true)
      row = Row(start: start, last: occurrence.at)
    }
    row!.last = occurrence.at
    row!.keys &+= count
    row!.entries &+= removed
    row!.keysLeft = min(row!.keysLeft, keys.total)
    row!.entriesLeft = min(row!.entriesLeft, entries.total)
  }

  /// Ends the series. It is a drop if it removed half of the keys or of the entries. The removal of a single
  /// key is not one if there are only a few keys.
  private mutating func endRow() {
    guard let row else { return }
    self.row = nil
    var drop = row.start
    func isHalf(_ removed: UInt64, _ left: UInt64, of before: UInt64) -> Bool {
      removed >= before - before / 2 && left <= before / 2
    }
    let isOfKeys = row.keys >= 2 && isHalf(row.keys, row.keysLeft, of: drop.keysBefore)
    let isOfEntries =
      row.entries >= LogSearch.entriesMin
      && isHalf(row.entries, row.entriesLeft, of: drop.entriesBefore ?? 0)
    guard isOfKeys || isOfEntries else { return }
    if row.keys > 0 { drop.keysRemoved = row.keys }
    drop.entriesRemoved = row.entries
    add(drop)
  }

  private mutating func add(_ occurrence: Occurrence) {
    // Several in one transaction share one position before them.
    if occurrences.last?.before == occurrence.before { return }
    occurrences.append(occurrence)
    if occurrences.count > LogSearch.occurrencesMax {
      occurrences.removeFirst()
      leftOut += 1
    }
  }

  /// Commands that remove keys, fields or members by name.
  private static let removing: Set<String> = [
    "DEL", "UNLINK", "DELEX", "DELIFEQ", "HDEL", "HGETDEL", "SREM", "ZREM", "VREM", "ARDEL",
  ]

  /// The names under which the log may have a command: for some, a server logs the effect as another command.
  package static func logged(_ command: String) -> [String] {
    switch command {
    case "GETDEL", "DELEX", "DELIFEQ": [command, "DEL"]
    case "HGETDEL": [command, "HDEL"]
    case "SPOP": [command, "SREM", "DEL"]
    case "GETEX": [command, "PEXPIREAT", "PERSIST", "DEL"]
    case "EXPIRE", "PEXPIRE", "EXPIREAT": [command, "PEXPIREAT", "DEL"]
    case "BLPOP": [command, "LPOP"]
    case "BRPOP": [command, "RPOP"]
    case "BZPOPMIN": [command, "ZPOPMIN"]
    case "BZPOPMAX": [command, "ZPOPMAX"]
    case "INCREX": [command, "SET"]
    default: [command]
    }
  }

  private func fullName(_ command: AOFCommandReader.Command, _ name: String) -> String {
    guard command.arguments.count > 1, let second = command.arguments[1], second.count <= 32 else {
      return name
    }
    return name + " " + String(decoding: second, as: UTF8.self).uppercased()
  }
}
