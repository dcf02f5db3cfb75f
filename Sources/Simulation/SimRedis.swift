import RedisFormats

/// What a server holds: the number of its state, and the names of some keys.
///
/// Every write replaces the number with a new one, and its command names both: `SET state 4>5`. So the data
/// that a restore gives shows which state it is, and whether the server ever had it.
struct Dataset: Hashable {
  var state = 0
  var keys: Set<Int> = []
}

/// A Redis or Valkey server and its data directory, in the two forms that the AOF has: one file (Redis 6),
/// or files with a manifest (7 and later).
final class SimRedis {
  struct Broken: Error, CustomStringConvertible { var description: String }

  let disk: SimDisk
  var root: SimDisk.Inode
  let isLegacy: Bool
  let annotates: Bool
  private(set) var data = Dataset()
  private(set) var isRunning = false
  private(set) var isAOFOn: Bool
  /// What a server would load from the files now.
  private(set) var onDisk = Dataset()

  private var log: SimDisk.Inode?
  private var base: String?
  private var increments: [(name: String, sequence: Int)] = []
  private var sequence = 0
  private var rewrite: (data: Dataset, at: Int64, first: Int, tail: [UInt8])?
  private var save: (data: Dataset, at: Int64)?
  /// A unit that is written in part: the missing bytes, where it begins in the log, and the data after it.
  private var partial: (rest: [UInt8], start: Int, data: Dataset)?
  private var lastAnnotation: Int64 = 0
  private var temporaries = 0
  /// How many bytes of the log survive a power loss.
  private var synchronized = 0

  private var machine: Machine { Machine.shared }

  init(disk: SimDisk, root: SimDisk.Inode, isLegacy: Bool, annotates: Bool, isAOFOn: Bool) {
    self.disk = disk
    self.root = root
    self.isLegacy = isLegacy
    self.annotates = annotates
    self.isAOFOn = isAOFOn
  }

  // MARK: Commands

  private static func command(_ words: String...) -> [UInt8] {
    var text = "*\(words.count)\r\n"
    for word in words { text += "$\(word.utf8.count)\r\n\(word)\r\n" }
    return Array(text.utf8)
  }

  /// One unit: a command, or a transaction.
  private func unit(_ next: Int, flushes: Bool) -> (bytes: [UInt8], data: Dataset) {
    var bytes: [UInt8] = []
    let seconds = machine.wallMilliseconds / 1000
    var made = data
    if annotates, seconds > lastAnnotation {
      lastAnnotation = seconds
      bytes += Array("#TS:\(seconds)\r\n".utf8)
    }
    let change = SimRedis.command("SET", "state", "\(data.state)>\(next)")
    made.state = next
    if flushes {
      made.keys = []
      return (
        bytes + SimRedis.command("MULTI") + SimRedis.command("FLUSHALL") + change
          + SimRedis.command("EXEC"), made
      )
    }
    guard machine.chance(30) else { return (bytes + change, made) }
    let key = Int.random(in: 0..<40, using: &machine.random)
    var other = SimRedis.command("SET", "key:\(key)", "x")
    if data.keys.contains(key), machine.chance(50) {
      made.keys.remove(key)
      other = SimRedis.command("DEL", "key:\(key)")
    } else {
      made.keys.insert(key)
    }
    return (
      bytes + SimRedis.command("MULTI") + other + change + SimRedis.command("EXEC"), made
    )
  }

  func write(_ next: Int, flushes: Bool = false) {
    finishUnit()
    let (bytes, made) = unit(next, flushes: flushes)
    data = made
    append(bytes)
    if isAOFOn { onDisk = made }
  }

  /// Writes a part of a unit; the rest comes later, or never.
  func writePartly(_ next: Int) {
    finishUnit()
    let (bytes, made) = unit(next, flushes: false)
    data = made
    guard isAOFOn, let log else { return append(bytes) }
    let cut = Int.random(in: 1..<bytes.count, using: &machine.random)
    partial = (Array(bytes[cut...]), log.bytes.count, made)
    append(Array(bytes[..<cut]))
  }

  fileprivate func setOnDisk(_ data: Dataset) { onDisk = data }

  func finishUnit() {
    guard let (rest, _, made) = partial else { return }
    partial = nil
    append(rest)
    onDisk = made
  }

  private func append(_ bytes: [UInt8]) {
    rewrite?.tail += bytes
    guard let log else { return }
    if machine.chance(30) { synchronized = log.bytes.count }
    disk.append(bytes, to: log)
  }

  // MARK: The AOF

  private var folder: SimDisk.Inode { disk.makeDirectory("appendonlydir", in: root) }

  private func writeManifest() {
    var text = ""
    if let base { text += "file \(base) seq \(sequenceOf(base)) type b\n" }
    for one in increments { text += "file \(one.name) seq \(one.sequence) type i\n" }
    disk.makeFile("temp-appendonly.aof.manifest", in: folder, Array(text.utf8))
    disk.rename("temp-appendonly.aof.manifest", to: "appendonly.aof.manifest", in: folder)
  }

  private func sequenceOf(_ name: String) -> Int { Int(name.split(separator: ".")[2]) ?? 0 }

  private func openIncrement() {
    sequence += 1
    let name = "appendonly.aof.\(sequence).incr.aof"
    log = disk.makeFile(name, in: folder)
    synchronized = 0
    increments.append((name, sequence))
  }

  /// How many rewrites ended, and since when another one runs (monotonic, ms).
  private(set) var rewrites = 0
  private(set) var rewritingSince: Int64?

  func beginRewrite() {
    guard isRunning, isAOFOn, rewrite == nil else { return }
    finishUnit()
    rewritingSince = machine.milliseconds
    rewrite = (data, machine.wallMilliseconds, increments.count, [])
    if !isLegacy {
      openIncrement()
      writeManifest()
    }
  }

  func finishRewrite() {
    guard isRunning, rewrite != nil else { return }
    finishUnit()
    guard let (held, at, first, tail) = rewrite else { return }
    (rewrite, rewritingSince) = (nil, nil)
    rewrites += 1
    let rdb = SimRedis.rdb(held, at: at, isBase: true)
    if isLegacy {
      temporaries += 1
      let name = "temp-rewriteaof-\(temporaries).aof"
      log = disk.makeFile(name, in: root, rdb + tail)
      synchronized = rdb.count
      disk.rename(name, to: "appendonly.aof", in: root)
      isAOFOn = true
      onDisk = data
      return
    }
    if folder.entries[SimRedis.unnamed] != nil {
      sequence += 1
      let name = "appendonly.aof.\(sequence).incr.aof"
      disk.rename(SimRedis.unnamed, to: name, in: folder)
      increments.append((name, sequence))
      synchronized = 0
    }
    let name = "appendonly.aof.\(sequence).base.rdb"
    disk.makeFile("temp-rewriteaof-bg.aof", in: folder, rdb)
    disk.rename("temp-rewriteaof-bg.aof", to: name, in: folder)
    let old = (base.map { [$0] } ?? []) + increments[..<first].map(\.name)
    base = name
    increments.removeFirst(first)
    writeManifest()
    for gone in old where gone != name { disk.remove(gone, in: folder) }
    isAOFOn = true
    onDisk = data
  }

  /// The child of a rewrite was killed. The INCR that was opened for it stays.
  func failRewrite() {
    (rewrite, rewritingSince) = (nil, nil)
    guard !isAOFOn else { return }
    log = nil
    if !isLegacy { disk.remove(SimRedis.unnamed, in: folder) }
  }

  /// CONFIG SET appendonly no.
  func switchOff() {
    guard isRunning, isAOFOn else { return }
    finishUnit()
    (isAOFOn, rewrite, rewritingSince, log) = (false, nil, nil, nil)
    onDisk = (try? SimRedis.load(root, isAOFOn: false)) ?? Dataset()
  }

  /// CONFIG SET appendonly yes: begins a rewrite. The AOF counts once it ends.
  func switchOn() {
    guard isRunning, !isAOFOn, rewrite == nil else { return }
    rewrite = (data, machine.wallMilliseconds, increments.count, [])
    // Redis 7 names its log when the rewrite ends.
    if !isLegacy { log = disk.makeFile(SimRedis.unnamed, in: folder) }
  }
  private static let unnamed = "temp-appendonly.aof.incr"

  // MARK: Dumps

  func beginSave() {
    guard isRunning, save == nil else { return }
    save = (data, machine.wallMilliseconds)
    temporaries += 1
    disk.makeFile("temp-\(temporaries).rdb", in: root)
  }

  func finishSave() {
    guard isRunning, let (held, at) = save else { return }
    save = nil
    guard let file = root.entries["temp-\(temporaries).rdb"] else { return }
    disk.overwrite(file, SimRedis.rdb(held, at: at, isBase: false))
    disk.rename("temp-\(temporaries).rdb", to: "dump.rdb", in: root)
    if !isAOFOn { onDisk = held }
  }

  // MARK: Life and death

  /// Loads what is there and continues from it, as a server does.
  func start() throws {
    guard !isRunning else { return }
    if isAOFOn { cutTornTail() }
    data = try SimRedis.load(root, isAOFOn: isAOFOn, isLegacy: isLegacy)
    onDisk = data
    isRunning = true
    lastAnnotation = 0
    guard isAOFOn else { return }
    if isLegacy {
      log = root.entries["appendonly.aof"] ?? disk.makeFile("appendonly.aof", in: root)
      synchronized = log!.bytes.count
      return
    }
    (base, increments) = try SimRedis.manifest(root) ?? (nil, [])
    sequence = max(increments.last?.sequence ?? 0, base.map(sequenceOf) ?? 0)
    if base == nil, increments.isEmpty {
      // A first start writes a BASE of what it loaded.
      base = "appendonly.aof.1.base.rdb"
      disk.makeFile(
        base!, in: folder, SimRedis.rdb(data, at: machine.wallMilliseconds, isBase: true))
      openIncrement()
      writeManifest()
      return
    }
    guard let last = increments.last, let file = folder.entries[last.name] else {
      openIncrement()
      writeManifest()
      return
    }
    log = file
    synchronized = file.bytes.count
  }

  /// SHUTDOWN: the last unit is complete.
  func stop() {
    finishUnit()
    kill()
  }

  /// kill -9: the last unit may be incomplete.
  func kill() {
    (isRunning, log, rewrite, save, partial) = (false, nil, nil, nil, nil)
    rewritingSince = nil
    for folder in [root, root.entries["appendonlydir"]].compactMap({ $0 }) {
      for name in folder.entries.keys.sorted() where name.hasPrefix("temp-") {
        disk.remove(name, in: folder)
      }
    }
  }

  /// The machine loses power: bytes that were never synchronized are gone. Returns whether there were any.
  func losePower() throws -> Bool {
    let (file, kept) = (log, synchronized)
    kill()
    guard let file, kept < file.bytes.count else { return false }
    disk.overwrite(file, Array(file.bytes[..<kept]))
    return true
  }

  /// aof-load-truncated: an incomplete unit at the end is cut off.
  private func cutTornTail() {
    let last: SimDisk.Inode?
    if isLegacy {
      last = root.entries["appendonly.aof"]
    } else {
      let name = (try? SimRedis.manifest(root))??.increments.last?.name
      last = name.flatMap { root.entries["appendonlydir"]?.entries[$0] }
    }
    guard let last else { return }
    let whole = (try? SimRedis.wholeCount(last.bytes)) ?? last.bytes.count
    if whole < last.bytes.count { disk.overwrite(last, Array(last.bytes[..<whole])) }
  }
}

extension SimRedis {
  /// After someone else changed the files.
  func refreshOnDisk() {
    guard !isRunning || !isAOFOn else { return }
    var copy = (try? SimRedis.load(root, isAOFOn: isAOFOn, isLegacy: isLegacy))
    if copy == nil { copy = Dataset(state: -1, keys: []) }
    setOnDisk(copy!)
  }
}
