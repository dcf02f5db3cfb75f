import RedisFormats

/// What a server holds: a state with a number, and the names of some keys beside it.
///
/// Every change makes a new number of the number before it, and says both. So what a restore gives proves
/// which state it is, and that it ever was.
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
  /// The bytes of a unit that are not written yet, where it began, and what it makes.
  private var partial: (rest: [UInt8], start: Int, data: Dataset)?
  private var lastAnnotation: Int64 = 0
  private var temporaries = 0
  /// How many bytes of the log are on the disk for good, whatever happens to the machine.
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

  /// Some bytes of a unit; the rest comes later, or never.
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

  var isRewriting: Bool { rewrite != nil }
  var isSaving: Bool { save != nil }

  func beginRewrite() {
    guard isRunning, isAOFOn, rewrite == nil else { return }
    finishUnit()
    rewrite = (data, machine.wallMilliseconds, increments.count, [])
    if !isLegacy {
      openIncrement()
      writeManifest()
    }
  }

  func finishRewrite() {
    guard isRunning, let (held, at, first, tail) = rewrite else { return }
    finishUnit()
    rewrite = nil
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

  /// The child of a rewrite was killed. What it opened stays.
  func failRewrite() {
    rewrite = nil
    guard !isAOFOn else { return }
    log = nil
    if !isLegacy { disk.remove(SimRedis.unnamed, in: folder) }
  }

  /// CONFIG SET appendonly no.
  func switchOff() {
    guard isRunning, isAOFOn else { return }
    finishUnit()
    (isAOFOn, rewrite, log) = (false, nil, nil)
    onDisk = (try? SimRedis.load(root, isAOFOn: false)) ?? Dataset()
  }

  /// CONFIG SET appendonly yes: a rewrite, and the log counts from its end.
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

  /// SHUTDOWN: what is written is whole.
  func stop() {
    finishUnit()
    kill()
  }

  /// kill -9: a unit may stay half written.
  func kill() {
    (isRunning, log, rewrite, save, partial) = (false, nil, nil, nil, nil)
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

  /// aof-load-truncated: an unfinished unit at the end goes.
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

  // MARK: Files

  private static func manifest(_ root: SimDisk.Inode) throws
    -> (base: String?, increments: [(name: String, sequence: Int)])?
  {
    guard let file = root.entries["appendonlydir"]?.entries["appendonly.aof.manifest"] else {
      return nil
    }
    var base: String?
    var increments: [(String, Int)] = []
    for line in String(decoding: file.bytes, as: UTF8.self).split(separator: "\n")
    where !line.hasPrefix("#") {
      let words = line.split(separator: " ").map(String.init)
      guard words.count >= 6, words[0] == "file", let number = Int(words[3]) else {
        throw Broken(description: "the manifest has the line \(line)")
      }
      switch words[5] {
      case "b": base = words[1]
      case "i": increments.append((words[1], number))
      default: break
      }
    }
    return (base, increments)
  }

  /// What a server with these files would hold, or why it would not start.
  static func load(_ root: SimDisk.Inode, isAOFOn: Bool, isLegacy: Bool = false) throws -> Dataset {
    guard isAOFOn else {
      return try root.entries["dump.rdb"].map { try parse(rdb: $0.bytes).data } ?? Dataset()
    }
    var data = Dataset()
    if !isLegacy, let (base, increments) = try manifest(root) {
      guard let folder = root.entries["appendonlydir"] else { return data }
      let names = (base.map { [$0] } ?? []) + increments.map(\.name)
      for name in names {
        guard let file = folder.entries[name] else {
          throw Broken(description: "\(name) is missing")
        }
        try replay(file.bytes, onto: &data, isLast: name == names.last)
      }
      return data
    }
    guard let file = root.entries["appendonly.aof"] else { return data }
    try replay(file.bytes, onto: &data, isLast: true)
    return data
  }

  private static func replay(_ bytes: [UInt8], onto data: inout Dataset, isLast: Bool) throws {
    var from = 0
    if bytes.starts(with: Array("REDIS".utf8)) {
      let (held, end) = try parse(rdb: bytes)
      (data, from) = (held, end)
    }
    let end = try execute(bytes, from: from, onto: &data)
    guard end == bytes.count || isLast else {
      throw Broken(description: "a file that is not the last ends within a unit, at \(end)")
    }
  }

  /// How many bytes of a log are whole units.
  static func wholeCount(_ bytes: [UInt8]) throws -> Int {
    var data: Dataset?
    let start = bytes.starts(with: Array("REDIS".utf8)) ? try parse(rdb: bytes).end : 0
    return try execute(bytes, from: start, onto: &data)
  }

  private static func execute(_ bytes: [UInt8], from start: Int, onto data: inout Dataset) throws
    -> Int
  {
    var known: Dataset? = data
    let end = try execute(bytes, from: start, onto: &known)
    data = known!
    return end
  }

  /// Executes whole units; returns where the last one ends. With nil, nothing is compared.
  private static func execute(_ bytes: [UInt8], from start: Int, onto data: inout Dataset?) throws
    -> Int
  {
    var (position, end) = (start, start)
    var transaction: Dataset?
    var isInside = false
    func line() -> Substring? {
      guard let stop = bytes[position...].firstIndex(of: 0x0a) else { return nil }
      defer { position = stop + 1 }
      return Substring(decoding: bytes[position..<max(position, stop - 1)], as: UTF8.self)
    }
    while position < bytes.count {
      guard let head = line() else { return end }
      if head.hasPrefix("#") {
        if !isInside { end = position }
        continue
      }
      guard head.hasPrefix("*"), let count = Int(head.dropFirst()) else {
        throw Broken(description: "no command at \(position): \(head)")
      }
      var words: [String] = []
      for _ in 0..<count {
        guard let size = line() else { return end }
        guard size.hasPrefix("$"), let length = Int(size.dropFirst()) else {
          throw Broken(description: "no length at \(position)")
        }
        guard position + length + 2 <= bytes.count else { return end }
        words.append(String(decoding: bytes[position..<position + length], as: UTF8.self))
        position += length + 2
      }
      var now = isInside ? transaction : data
      switch words[0] {
      case "MULTI":
        (isInside, transaction) = (true, data)
        continue
      case "EXEC":
        isInside = false
        now = transaction
      case "FLUSHALL": if now != nil { now = Dataset(state: now!.state, keys: []) }
      case "DEL": if let key = Int(words[1].dropFirst(4)) { now?.keys.remove(key) }
      case "SET" where words[1] == "state":
        let parts = words[2].split(separator: ">").compactMap { Int($0) }
        guard parts.count == 2, now == nil || now!.state == parts[0] else {
          throw Broken(description: "\(words[2]) is executed in state \(now!.state)")
        }
        now?.state = parts[1]
      case "SET": if let key = Int(words[1].dropFirst(4)) { now?.keys.insert(key) }
      case "SELECT": break
      default: throw Broken(description: "\(words) is no command of this world")
      }
      if isInside {
        transaction = now
      } else {
        data = now
        end = position
      }
    }
    return end
  }

  // MARK: RDB

  static func rdb(_ data: Dataset, at time: Int64, isBase: Bool) -> [UInt8] {
    var bytes = Array("REDIS0011".utf8)
    func string(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
    func auxiliary(_ name: String, _ value: String) {
      bytes += [0xfa] + string(name) + string(value)
    }
    auxiliary("redis-ver", "7.2.5")
    auxiliary("ctime", "\(time / 1000)")
    if isBase { auxiliary("aof-base", "1") }
    if data.state > 0 || !data.keys.isEmpty {
      let count = UInt8(data.keys.count + (data.state > 0 ? 1 : 0))
      bytes += [0xfe, 0, 0xfb, count, 0]
      if data.state > 0 { bytes += [0] + string("state") + string("\(data.state)") }
      for key in data.keys.sorted() { bytes += [0] + string("key:\(key)") + string("x") }
    }
    bytes.append(0xff)
    var crc = CRC64()
    bytes.withUnsafeBytes { crc.update($0) }
    return bytes + (0..<8).map { UInt8(truncatingIfNeeded: crc.value >> ($0 * 8)) }
  }

  /// Reads what `rdb` makes, and where it ends.
  private static func parse(rdb bytes: [UInt8]) throws -> (data: Dataset, end: Int) {
    var position = 9
    var data = Dataset()
    func string() throws -> String {
      guard position < bytes.count, position + 1 + Int(bytes[position]) <= bytes.count else {
        throw Broken(description: "the RDB ends within a string")
      }
      let length = Int(bytes[position])
      defer { position += 1 + length }
      return String(decoding: bytes[position + 1..<position + 1 + length], as: UTF8.self)
    }
    while position < bytes.count {
      position += 1
      switch bytes[position - 1] {
      case 0xfa: (_, _) = (try string(), try string())
      case 0xfe: position += 1
      case 0xfb: position += 2
      case 0:
        let (key, value) = (try string(), try string())
        if key == "state" {
          data.state = Int(value.split(separator: ">").last ?? "") ?? -1
        } else if let number = Int(key.dropFirst(4)) {
          data.keys.insert(number)
        }
      case 0xff:
        guard position + 8 <= bytes.count else {
          throw Broken(description: "the RDB ends within its checksum")
        }
        var crc = CRC64()
        bytes[..<position].withUnsafeBytes { crc.update($0) }
        let found = bytes[position..<position + 8].reversed().reduce(UInt64(0)) {
          $0 << 8 | UInt64($1)
        }
        guard found == crc.value else { throw Broken(description: "the RDB's checksum is wrong") }
        return (data, position + 8)
      case let code: throw Broken(description: "the RDB has the byte \(code) at \(position - 1)")
      }
    }
    throw Broken(description: "the RDB has no end")
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
