import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import TestSupport

/// A server, its shipper and everything that may happen to both, at random. It has the resulting repository,
/// and the server's state at each moment.
///
/// Every state has a number, and every command contains the states before and after it. So replaying a
/// restored log proves which state it gives, and that the server had this state.
struct InstantWorld {
  struct File {
    var name: String
    var sequence: Int64
    var segments: [Snapshot.Segment]
    var bytes: [UInt8] = []
    var shipped = 0
    /// Offsets at which no transaction is open.
    var cuts: [Int] = []
  }
  /// A state, and the time from which the server had it.
  struct Moment {
    var time: Int64
    var state: Int
    /// When a shipper saw it.
    var knownAt: Int64 = 0
  }
  struct Base {
    var record: Snapshot.Base
    var state: Int
    var contentAt: Int64
  }

  let made: MadeRepository
  let annotates: Bool
  var random: SeededRandom
  var now: Int64
  var truth = [Moment(time: 0, state: 0)]
  /// Places where the log can be cut without annotations, in the order of the history, with the time from
  /// which a restore may give each.
  var entries: [Moment] = []
  /// Periods in which the log is unknown, or it is unknown which branch counts.
  var lost: [(from: Int64, until: Int64)] = []
  var blind: [ClosedRange<Int64>] = []
  var states: [GenerationID: Int] = [:]
  /// What happened, for failure messages.
  var events: [String] = []
  var state = 0
  var lastState = 0
  var lastAnnotated: Int64 = 0
  var timeline = 0
  var sequence = 0
  var ordinal = 0
  var files: [File] = []
  var base: Base?
  /// The time of the last write.
  var wroteAt: Int64 = 0
  /// Everything before this time is durable.
  var shippedAt: Int64 = 0
  var lastFile: Int64 = 0
  var lastGeneration: UInt64 = 0
  /// A rewrite that the shipper saw begin. Its BASE does not exist yet.
  var rewrite: (base: Base, first: Int)?

  /// - Parameter start: when the world begins, in milliseconds.
  init(seed: UInt64, start: Int64 = 1_000_000) async throws {
    now = start
    random = SeededRandom(seed: seed)
    annotates = Int.random(in: 0..<3, using: &random) > 0
    made = try await MadeRepository()
    for _ in 0..<int(0...3) { write(isLost: true) }
    try await beginAnew()
    for _ in 0..<int(10...40) { try await act() }
    try await ship()
    if let rewrite { try await finish(rewrite) }
    try await ship()
  }

  mutating func int(_ range: ClosedRange<Int>) -> Int { .random(in: range, using: &random) }

  /// The state that a restore of `point` gives. A command that was made for a different state, or an
  /// incomplete transaction, is an error.
  func replay(_ point: RestorePoint, _ reader: HistoryReader) async throws -> Int {
    let plan = try RestorePlanner(
      history: reader.history, point: point,
      indexes: try await reader.indexes(of: point.snapshot), options: .init()
    ).plan()
    var state = 0
    for file in plan.files {
      switch file.content {
      case .generation(let index): state = states[index.generation]!
      case .bytes, .same, .stream: break
      case .log(let parts):
        var bytes: [UInt8] = []
        for part in parts {
          let content = try await made.repository.content(
            part.name, kind: .log, limit: LogPayload.sizeMax)
          let payload = try LogPayload(decoding: content ?? [], span: part.span)
          bytes += payload.bytes[Int(part.from - part.span.from)..<Int(part.to - part.span.from)]
        }
        state = try InstantWorld.replay(bytes, from: state)
      }
    }
    return state
  }

  static func replay(_ bytes: [UInt8], from start: Int) throws -> Int {
    var state = start
    var isInside = false
    var words: [Substring] = []
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\r\n") {
      switch line.first {
      case "*": words = []
      case "$", "#": continue
      default: words.append(line)
      }
      switch words.first {
      case "MULTI": isInside = true
      case "EXEC": isInside = false
      case .some where words.count == 3:
        guard Int(words[1]) == state else { throw HarnessError("\(words) after \(state)") }
        state = Int(words[2])!
      default: break
      }
    }
    guard !isInside else { throw HarnessError("a transaction is not whole") }
    return state
  }

  /// The server's state at that time, which is in milliseconds.
  func state(at time: Int64) -> Int { truth.last { $0.time <= time }!.state }

  // MARK: The server

  mutating func act() async throws {
    now += Int64(int(1...700))
    switch int(0...99) {
    case 0..<50: for _ in 0..<int(1...3) { write() }
    case 50..<70: try await ship()
    case 70..<76: try await beginRewrite()
    case 76..<82: if let rewrite { try await finish(rewrite) }
    case 82..<85: rewrite = nil  // it failed: its INCR stays
    case 85..<88: try await rewriteUnseen(losing: 0)
    case 88..<90: try await rewriteUnseen(losing: int(1...4))
    case 90..<94: try await restartShipper()
    case 94..<96: try await rewriteWhileAway()
    case 96..<98: lastAnnotated = 0  // a restart
    default: try await restore()
    }
  }

  mutating func write(isLost: Bool = false) {
    events.append("\(now) \(isLost ? "lost" : "write") \(lastState + 1)")
    now += Int64(int(1...400))
    func command(_ words: String...) -> [UInt8] {
      var text = "*\(words.count)\r\n"
      for word in words { text += "$\(word.utf8.count)\r\n\(word)\r\n" }
      return Array(text.utf8)
    }
    var unit: [UInt8] = []
    let isTransaction = int(0...4) == 0
    if isTransaction { unit += command("MULTI") }
    if annotates, now / 1000 > lastAnnotated {
      lastAnnotated = now / 1000
      unit += Array("#TS:\(lastAnnotated)\r\n".utf8)
    }
    lastState += 1
    let name = ["SET", "SET", "DEL", "FLUSHALL"].randomElement(using: &random)!
    unit += command(name, "\(state)", "\(lastState)")
    if isTransaction { unit += command("EXEC") }
    state = lastState
    truth.append(Moment(time: now, state: state))
    wroteAt = now
    guard !isLost else { return }
    files[files.count - 1].bytes += unit
    files[files.count - 1].cuts.append(files[files.count - 1].bytes.count)
  }

  mutating func newFile() -> File {
    lastFile += 1
    ordinal += 1
    let segment = Snapshot.Segment(
      timeline: TimelineNumber(max(1, timeline))!, ordinal: ordinal, from: 0, to: nil)
    return File(name: "a.\(lastFile).incr.aof", sequence: lastFile, segments: [segment])
  }

  /// A full copy of the server's current state.
  mutating func newBase() async throws -> Base {
    lastGeneration += 1
    let id = GenerationID(
      fingerprint: ShortDigest(bytes: littleEndianBytes(lastGeneration) + littleEndianBytes(5))!,
      nonce: nonce(max(1, timeline)))
    // The time of an RDB is a whole second.
    let content = now / 1000 * 1000
    let index = GenerationIndex(
      generation: id, kind: .base, file: "a.\(lastGeneration).base", size: 1,
      pieces: [made.repository.frame.digest([1])], contentAt: at(content), verdict: .good,
      remark: nil,
      dataset: DatasetRecord(
        server: nil, rdbVersion: 11, isValkey: false, databases: [], functions: 0))
    _ = try await made.repository.create(index, .index(id), kind: .index)
    states[id] = state
    return Base(
      record: .init(generation: id, file: index.file, sequence: Int64(lastGeneration)),
      state: state, contentAt: content)
  }
}
