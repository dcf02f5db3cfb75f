import BackupFormat
import BackupLogic
import BackupTypes
import Replication
import TestSupport

/// A server, its shipper and everything that may happen to both, at random: the repository that comes of
/// it, and what the server held at each moment.
///
/// Every state has a number, and every command says which state it makes of which: replaying what a
/// restore gives proves which state that is, and that it ever was.
struct InstantWorld {
  struct File {
    var name: String
    var sequence: Int64
    var segments: [Snapshot.Segment]
    var bytes: [UInt8] = []
    var shipped = 0
    /// Bytes after which a transaction is closed.
    var cuts: [Int] = []
  }
  /// A state, from when on it was the server's.
  struct Moment {
    var time: Int64
    var state: Int
  }
  struct Base {
    var record: Snapshot.Base
    var state: Int
    var contentAt: Int64
    var isTimed: Bool
  }

  let made: MadeRepository
  let annotates: Bool
  var random: SeededRandom
  var now: Int64 = 1_000_000
  private(set) var truth = [Moment(time: 0, state: 0)]
  /// Places that the log can be cut at without annotations, in the order of the history: from when on a
  /// restore may give each.
  private(set) var entries: [Moment] = []
  /// Between these nothing is known of the log, or which branch counts.
  private(set) var lost: [(from: Int64, until: Int64)] = []
  private(set) var blind: [ClosedRange<Int64>] = []
  private(set) var states: [GenerationID: Int] = [:]
  /// What happened, for a failure's text.
  private(set) var events: [String] = []
  private var state = 0
  private var lastState = 0
  private var lastAnnotated: Int64 = 0
  private var timeline = 0
  private var sequence = 0
  private var ordinal = 0
  private var files: [File] = []
  private var base: Base?
  /// A file that is seen has not changed since.
  private var wroteAt: Int64 = 0
  /// Everything before that is durable.
  private var shippedAt: Int64 = 0
  private var lastFile: Int64 = 0
  private var lastGeneration: UInt64 = 0
  /// A rewrite that the shipper saw begin: its BASE is not there yet.
  private var rewrite: (base: Base, first: Int)?

  init(seed: UInt64) async throws {
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

  private mutating func int(_ range: ClosedRange<Int>) -> Int { .random(in: range, using: &random) }

  /// The state that a restore of `point` gives; a command in it that was made of another state, or a
  /// transaction that is not whole, is an error.
  func replay(_ point: RestorePoint, _ reader: HistoryReader) async throws -> Int {
    let plan = try RestorePlanner(
      history: reader.history, point: point,
      indexes: try await reader.indexes(of: point.snapshot), options: .init()
    ).plan()
    var state = 0
    for file in plan.files {
      switch file.content {
      case .generation(let index): state = states[index.generation]!
      case .bytes, .same: break
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

  private static func replay(_ bytes: [UInt8], from start: Int) throws -> Int {
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

  /// What the server held at that time, in milliseconds.
  func state(at time: Int64) -> Int { truth.last { $0.time <= time }!.state }

  // MARK: The server

  private mutating func act() async throws {
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

  private mutating func write(isLost: Bool = false) {
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

  private mutating func newFile() -> File {
    lastFile += 1
    ordinal += 1
    let segment = Snapshot.Segment(
      timeline: TimelineNumber(max(1, timeline))!, ordinal: ordinal, from: 0, to: nil)
    return File(name: "a.\(lastFile).incr.aof", sequence: lastFile, segments: [segment])
  }

  /// A full copy of what the server holds now.
  private mutating func newBase() async throws -> Base {
    lastGeneration += 1
    let id = GenerationID(
      fingerprint: ShortDigest(bytes: littleEndianBytes(lastGeneration) + littleEndianBytes(5))!,
      nonce: nonce(max(1, timeline)))
    let isTimed = int(0...4) > 0
    let content = isTimed ? now / 1000 * 1000 : now
    let index = GenerationIndex(
      generation: id, kind: .base, file: "a.\(lastGeneration).base", size: 1,
      pieces: [made.repository.frame.digest([1])], contentAt: at(content), verdict: .good,
      remark: nil,
      dataset: isTimed
        ? DatasetRecord(server: nil, rdbVersion: 11, isValkey: false, databases: [], functions: 0)
        : nil)
    _ = try await made.repository.create(index, .index(id), kind: .index)
    states[id] = state
    return Base(
      record: .init(generation: id, file: index.file, sequence: Int64(lastGeneration)),
      state: state, contentAt: content, isTimed: isTimed)
  }

  // MARK: The shipper

  /// Everything is durable, in one or more objects.
  private mutating func ship() async throws {
    var file = files[files.count - 1]
    while file.shipped < file.bytes.count {
      let cuts = file.cuts.filter { $0 > file.shipped }
      let to = int(0...2) > 0 ? cuts.last! : cuts.randomElement(using: &random)!
      let segment = file.segments.last!
      try await made.addLog(
        segment.timeline.value, ordinal: segment.ordinal, UInt64(file.shipped),
        bytes: Array(file.bytes[file.shipped..<to]), at: wroteAt)
      file.shipped = to
      events.append("\(now) ships \(segment.timeline)/\(segment.ordinal) to \(to), of \(wroteAt)")
    }
    if files.last!.shipped < file.shipped { entries.append(Moment(time: wroteAt, state: state)) }
    files[files.count - 1] = file
    shippedAt = now
  }

  private mutating func snapshot() async throws {
    events.append("\(now) snapshot \(timeline).\(sequence + 1)")
    sequence += 1
    let chain = Snapshot.Chain(
      form: .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"),
      base: base?.record,
      files: files.map {
        .init(file: $0.name, sequence: $0.sequence, segments: $0.segments, identity: nil)
      })
    let number = TimelineNumber(timeline)!
    let made = Snapshot(
      timeline: number, sequence: sequence, nonce: nonce(timeline), at: at(now), cause: .chain,
      primary: .aof, chain: chain, dump: nil, detached: nil, isClean: false, destructive: nil)
    _ = try await self.made.repository.create(
      made, .snapshot(number, sequence: sequence), kind: .snapshot)
  }

  /// What a log ends with now, in the next claim's words.
  private func end(of parent: Int) async throws -> Claim.End {
    try await made.repository.history().contiguousEnd(of: TimelineNumber(parent)!, starts: [:])
  }

  private mutating func claim(fork: LogPosition?) async throws {
    events.append("\(now) claim \(timeline + 1) from \(fork?.description ?? "none")")
    let parent = timeline
    let end = parent > 0 ? try await end(of: parent) : nil
    timeline += 1
    (sequence, ordinal) = (0, 0)
    let claim = Claim(
      timeline: TimelineNumber(timeline)!, nonce: nonce(timeline), repository: made.repository.id,
      source: "s", instance: "i", directory: "d", claimedAt: at(now), writer: "test",
      parent: TimelineNumber(parent), fork: fork, end: end, suspicion: nil)
    _ = try await made.repository.create(claim, .claim(claim.timeline), kind: .claim)
  }

  /// A claim whose chain has nothing in common with what was there.
  private mutating func beginAnew() async throws {
    let base = try await newBase()
    self.base = base
    try await claim(fork: nil)
    files = [newFile()]
    try await snapshot()
    entries.append(Moment(time: now, state: state))
    shippedAt = now
  }

  // MARK: Rewrites

  private mutating func beginRewrite() async throws {
    events.append("\(now) rewrite begins")
    guard rewrite == nil else { return }
    try await ship()
    closeLast()
    let base = try await newBase()
    files.append(newFile())
    rewrite = (base, files.count - 1)
    try await snapshot()
  }

  private mutating func closeLast() {
    let size = UInt64(files[files.count - 1].bytes.count)
    files[files.count - 1].segments[files[files.count - 1].segments.count - 1].to = size
  }

  private mutating func finish(_ done: (base: Base, first: Int)) async throws {
    events.append("\(now) rewrite ends")
    rewrite = nil
    base = done.base
    files.removeFirst(done.first)
    try await snapshot()
  }

  /// Nobody saw a manifest that lists both files: what was written to others between is lost.
  private mutating func rewriteUnseen(losing count: Int) async throws {
    events.append("\(now) unseen rewrite")
    rewrite = nil
    // What is left of the old file is still read.
    try await ship()
    let from = now
    for _ in 0..<count { write(isLost: true) }
    let base = try await newBase()
    if count > 0 { lost.append((from, now)) }
    (files, self.base) = ([newFile()], base)
    // Its BASE takes a while, and its log is sent with it.
    for _ in 0..<int(0...4) { write() }
    if base.isTimed { entries.append(Moment(time: base.contentAt + 999, state: base.state)) }
    try await snapshot()
    try await ship()
  }

  // MARK: Restarts

  private mutating func restartShipper() async throws {
    events.append("\(now) shipper restarts")
    rewrite = nil
    for _ in 0..<int(0...4) { write() }
    if int(0...3) == 0 { try await fence() }
    // What the repository holds of each file; a file of which it holds nothing begins anew.
    let last = files.count - 1
    let cut = UInt64(files[last].shipped)
    files[last].segments[files[last].segments.count - 1].to = cut
    for index in files.indices { files[index].segments.removeAll { $0.from == $0.to } }
    let held = files.flatMap(\.segments).last
    try await claim(fork: held.map { $0.position($0.to!) })
    for index in files.indices where index == last || files[index].segments.isEmpty {
      ordinal += 1
      files[index].segments.append(
        .init(
          timeline: TimelineNumber(timeline)!, ordinal: ordinal,
          from: index == last ? cut : 0, to: index == last ? nil : 0))
    }
    try await snapshot()
  }

  /// One that was killed before it wrote anything.
  private mutating func fence() async throws {
    try await claim(fork: nil)
    now += 100
  }

  private mutating func rewriteWhileAway() async throws {
    events.append("\(now) rewrite while away")
    rewrite = nil
    for _ in 0..<int(1...4) { write(isLost: true) }
    // What was there and not shipped is lost, too.
    lost.append((shippedAt, now))
    try await beginAnew()
  }

  /// The server goes on from an earlier state, in a timeline of its own.
  private mutating func restore() async throws {
    guard let first = entries.first, now > first.time + 3000 else { return }
    try await ship()
    let time = at(.random(in: first.time...now, using: &random) / 1000 * 1000)
    guard time.milliseconds >= first.time else { return }
    guard let point = try await made.choose({ $0.at = time }), let cut = point.cut else { return }
    let from = now
    events.append("\(now) restored to \(time)")
    rewrite = nil
    state = try await replay(point, try await made.reader)
    now += 3000
    (lastAnnotated, base) = (0, nil)
    files = []
    for record in point.snapshot.chain!.files {
      var file = File(name: record.file, sequence: record.sequence, segments: [])
      for var segment in record.segments {
        let isLast = segment.timeline == cut.timeline && segment.ordinal == cut.ordinal
        if isLast { segment.to = cut.offset }
        if segment.to! > segment.from { file.segments.append(segment) }
        if isLast { break }
      }
      files.append(file)
      if record.segments.contains(where: {
        $0.timeline == cut.timeline && $0.ordinal == cut.ordinal
      }) {
        break
      }
    }
    if let record = point.snapshot.chain!.base {
      base = Base(record: record, state: states[record.generation]!, contentAt: 0, isTimed: true)
    }
    let size = Int(files.last!.segments.last?.to ?? 0)
    files[files.count - 1].bytes = [UInt8](repeating: 0, count: size)
    files[files.count - 1].shipped = size
    truth.append(Moment(time: now, state: state))
    try await claim(fork: size > 0 ? cut : nil)
    ordinal += 1
    files[files.count - 1].segments.append(
      .init(
        timeline: TimelineNumber(timeline)!, ordinal: ordinal, from: UInt64(size), to: nil))
    try await snapshot()
    blind.append(from - 1000...now + 1000)
    entries.append(Moment(time: now, state: state))
    now += 1000
    shippedAt = now
  }
}
