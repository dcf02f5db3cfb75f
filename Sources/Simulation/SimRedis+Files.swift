import RedisFormats

/// What a server loads from files.
extension SimRedis {
  static func manifest(_ root: SimDisk.Inode) throws
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

  /// The length of a log's whole units, in bytes.
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

  /// Executes whole units; returns where the last one ends. If `data` is nil, states are not checked.
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

  /// The time at which an RDB says that its save began, in seconds; nil: it has none.
  static func began(rdb bytes: [UInt8]) -> Int64? {
    let head = rdb(Dataset(), at: 0, isBase: false)
    // The time ends the head: a length, then the digits.
    guard let end = head.firstIndex(of: 0xff) else { return nil }
    let start = end - 1
    guard bytes.count > start, bytes.starts(with: head.prefix(start - 1)) else { return nil }
    let length = Int(bytes[start - 1])
    return Int64(String(decoding: bytes[start...].prefix(length), as: UTF8.self))
  }

  /// Reads what `rdb` writes. `end` is where it ends.
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
