import BackupFormat
import BackupTypes
import TestSupport
import WriterLogic

/// A file of the model. Like an inode, it lives as long as someone holds it.
final class ModelFile {
  let pin: Int
  let name: String
  let sequence: Int64
  var bytes: [UInt8] = []
  var modified: Int64
  let born: Int64
  /// For a dump or BASE: its state, and the time of that state.
  let state: Int
  let contentAt: Int64

  init(pin: Int, name: String, sequence: Int64, born: Int64, state: Int, contentAt: Int64) {
    self.pin = pin
    self.name = name
    self.sequence = sequence
    self.born = born
    self.modified = born
    self.state = state
    self.contentAt = contentAt
  }
}

/// A Redis and its data directory. Its state is the number of units (commands or transactions) that it has
/// executed. Every unit contains its number, so replaying files proves which state they give.
struct ModelDirectory {
  var random: SeededRandom
  let isLegacy: Bool
  var now: Int64 = 1_700_000_000_000
  var state = 0
  /// When each state began.
  var stateTimes: [Int64]
  var isAOFOn = true
  var wasAOFOff = false
  var wasTorn = false

  private(set) var dump: ModelFile?
  private(set) var base: ModelFile?
  private(set) var increments: [ModelFile] = []
  private(set) var all: [Int: ModelFile] = [:]
  var manifestModified: Int64 = 1_700_000_000_000
  private var lastPin = 0
  private var sequence: Int64 = 0
  private var pendingSave: (state: Int, at: Int64)?
  private var rewrite: (state: Int, at: Int64, first: Int)?
  /// While the AOF is being switched on: the first INCR, which is not in a manifest yet.
  private var hidden: ModelFile?
  /// The unwritten rest of a unit, and its start.
  private var partial: (rest: [UInt8], start: Int)?
  private var lastAnnotation: Int64 = 0

  init(seed: UInt64, isLegacy: Bool) {
    random = SeededRandom(seed: seed)
    self.isLegacy = isLegacy
    stateTimes = [now]
    if isLegacy {
      increments = [file("appendonly.aof", sequence: 1)]
    } else {
      base = file("appendonly.aof.1.base.rdb", sequence: 1, state: 0, contentAt: now)
      base!.bytes = [1]
      sequence = 1
      increments = [file("appendonly.aof.1.incr.aof", sequence: 1)]
    }
  }

  private mutating func file(
    _ name: String, sequence: Int64, state: Int = 0, contentAt: Int64 = 0, born: Int64? = nil
  ) -> ModelFile {
    lastPin += 1
    let made = ModelFile(
      pin: lastPin, name: name, sequence: sequence, born: born ?? now, state: state,
      contentAt: contentAt)
    all[lastPin] = made
    return made
  }

  // MARK: What the server does

  /// Does one random thing that a server may do.
  mutating func act() {
    now += Int64(random.int(1...900))
    switch random.int(0...99) {
    case 0..<45: for _ in 0..<random.int(1...5) { write() }
    case 45..<53: writePartly()
    case 53..<56: rollBack()
    case 56..<68: if isAOFOn { beginRewrite() } else { switchOn() }
    case 68..<79: finishRewrite()
    case 79..<82: (rewrite, hidden) = (nil, nil)  // it failed; a listed INCR stays
    case 82..<88: pendingSave = pendingSave ?? (state, now)
    case 88..<94: finishSave()
    case 94..<96: switchOff()
    case 96..<98: manifestModified = isAOFOn && !isLegacy ? now : manifestModified
    default: now += Int64(random.int(0...5000))
    }
  }

  mutating func write() {
    finishUnit()
    append(nextUnit())
  }

  private mutating func nextUnit() -> [UInt8] {
    state += 1
    stateTimes.append(now)
    var unit: [UInt8] = []
    if now / 1000 > lastAnnotation, random.chance(50) {
      lastAnnotation = now / 1000
      unit += Array("#TS:\(lastAnnotation)\r\n".utf8)
    }
    if random.chance(3) { return unit + command("FLUSHALL") }
    let set = command("SET", "k", "\(state)", String(repeating: "x", count: random.int(0...40)))
    guard random.chance(20) else { return unit + set }
    return unit + command("MULTI") + command("INCR", "c") + set + command("EXEC")
  }

  private mutating func append(_ bytes: [UInt8]) {
    guard isAOFOn || hidden != nil else { return }
    let file = hidden ?? increments.last!
    file.bytes += bytes
    file.modified = now
  }

  /// Writes only some bytes of a unit.
  private mutating func writePartly() {
    finishUnit()
    guard isAOFOn else { return }
    let unit = nextUnit()
    let cut = random.int(1...(unit.count - 1))
    let start = increments.last!.bytes.count
    append(Array(unit[..<cut]))
    partial = (Array(unit[cut...]), start)
  }
  mutating func finishUnit() {
    if let partial { append(partial.rest) }
    partial = nil
  }
  /// On a full disk, the written part of the unit is truncated, and is written again later.
  private mutating func rollBack() {
    guard let (rest, start) = partial, let file = increments.last else { return }
    let written = Array(file.bytes[start...])
    file.bytes.removeLast(written.count)
    file.modified = now
    partial = (written + rest, start)
  }

  private mutating func beginRewrite() {
    guard rewrite == nil else { return }
    // A server with a broken disk can leave a torn INCR, and nothing after it can be loaded. The INCR is only
    // torn if it has some bytes of the command. If the command is lost completely, or only its annotation is
    // left, nobody could notice.
    if let partial, increments.last!.bytes[partial.start...].contains(UInt8(ascii: "*")), !isLegacy,
      random.chance(10)
    {
      self.partial = nil
      wasTorn = true
    }
    finishUnit()
    rewrite = (state, now, increments.count)
    guard !isLegacy else { return }
    sequence += 1
    increments.append(file("appendonly.aof.\(sequence).incr.aof", sequence: sequence))
    manifestModified = now
  }

  private mutating func switchOff() {
    guard isAOFOn, !isLegacy else { return }
    finishUnit()
    (isAOFOn, wasAOFOff, rewrite) = (false, true, nil)
  }
  private mutating func switchOn() {
    guard hidden == nil else { return }
    sequence += 1
    hidden = file("appendonly.aof.\(sequence).incr.aof", sequence: sequence)
    rewrite = (state, now, 0)
  }

  mutating func finishRewrite() {
    guard let (held, began, first) = rewrite else { return }
    finishUnit()
    rewrite = nil
    if isLegacy {
      // Only the end of the rewritten part is a state, since PART is not a unit.
      let made = file("appendonly.aof", sequence: 1)
      made.bytes = command("PART", "1") + command("PART", "2") + command("STATE", "\(held)")
      made.bytes += tail(from: held)
      increments = [made]
      return
    }
    let made = file(
      "appendonly.aof.\(sequence).base.rdb", sequence: sequence, state: held, contentAt: began)
    made.bytes = [UInt8](repeating: 2, count: random.int(1...50))
    base = made
    if let opened = hidden {
      (increments, hidden, isAOFOn) = ([opened], nil, true)
    } else {
      increments.removeFirst(first)
    }
    manifestModified = now
    wasTorn = false
  }

  /// The units after `held`, as the parent process appends them to a rewrite.
  private func tail(from held: Int) -> [UInt8] {
    guard held < state else { return [] }
    return (held + 1...state).flatMap { command("SET", "k", "\($0)", "") }
  }

  mutating func finishSave() {
    guard let (held, began) = pendingSave else { return }
    pendingSave = nil
    let made = file("dump.rdb", sequence: 0, state: held, contentAt: began, born: began)
    made.modified = now
    made.bytes = [UInt8](repeating: 3, count: random.int(1...50))
    dump = made
  }

  /// Completes everything that is in progress.
  mutating func becomeStill() {
    finishUnit()
    if hidden != nil || random.chance(50) { finishRewrite() } else { rewrite = nil }
    if random.chance(50) { finishSave() }
  }

  // MARK: What a shipper sees

  mutating func look() -> CaptureView {
    let dump = dump.map(pinned)
    // Time passes between the look at the dump and the look at the log.
    if random.chance(30) { act() }
    if random.chance(3) { return CaptureView(at: at(now), dump: dump, aof: .unsettled("model")) }
    return view(with: dump)
  }
  func stillView() -> CaptureView { view(with: dump.map(pinned)) }

  private func view(with dump: PinnedFile?) -> CaptureView {
    if isLegacy, increments[0].bytes.isEmpty {
      return CaptureView(at: at(now), dump: dump, aof: .unsettled("empty"))
    }
    let set = AOFSetView(
      form: isLegacy
        ? .legacy : .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"),
      base: base.map { .init(file: pinned($0), sequence: $0.sequence) },
      increments: increments.map { .init(file: pinned($0), sequence: $0.sequence) },
      manifestModified: isLegacy ? nil : moment(manifestModified))
    return CaptureView(at: at(now), dump: dump, aof: .set(set))
  }

  var named: Set<PinID> {
    Set(([dump, base].compactMap { $0 } + increments).map { PinID($0.pin) })
  }

  /// The newest state that a restore of the files on disk can give.
  var stateOnDisk: Int { max(isAOFOn ? state : stateOfLog, dump?.state ?? 0) }
  private var stateOfLog: Int {
    let held = replay(increments.map(\.bytes), from: base?.state ?? 0)
    return held ?? 0
  }
}

private func moment(_ time: Int64) -> FileMoment {
  FileMoment(seconds: time / 1000, nanoseconds: time % 1000 * 1_000_000)
}

private func pinned(_ file: ModelFile) -> PinnedFile {
  PinnedFile(
    pin: PinID(file.pin), name: file.name, size: UInt64(file.bytes.count),
    modified: moment(file.modified), born: moment(file.born),
    identity: FileIdentity(inode: UInt64(file.pin), bornSeconds: file.born, bornNanoseconds: 0))
}
