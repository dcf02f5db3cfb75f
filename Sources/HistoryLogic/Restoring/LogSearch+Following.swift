package import BackupFormat
import RedisFormats

/// The effects of the commands of a log on the counts of keys and entries.
extension LogSearch {
  mutating func follow(
    _ command: AOFCommandReader.Command, _ name: String, _ occurrence: Occurrence
  ) {
    let arguments = command.arguments
    func argument(_ index: Int) -> [UInt8]? { index < arguments.count ? arguments[index] : nil }
    func number(_ index: Int) -> Int? {
      argument(index).flatMap { Int(String(decoding: $0, as: UTF8.self)) }
    }
    switch name {
    case "SELECT": database = number(1) ?? database
    case "FLUSHALL":
      keys.flushAll()
      entries.flushAll()
    case "FLUSHDB":
      keys.flush(database)
      entries.flush(database)
    case "SWAPDB":
      if let one = number(1), let other = number(2) {
        keys.swap(one, other)
        entries.swap(one, other)
      }
    case "DEL", "UNLINK":
      remove(command.arguments.dropFirst(), of: command.count - 1, occurrence)
    case "DELEX", "DELIFEQ": remove(command.arguments.dropFirst().prefix(1), of: 1, occurrence)
    case "MSETEX":
      for index in stride(from: 2, to: arguments.count, by: 2).prefix(max(0, number(1) ?? 0)) {
        keys.write(arguments[index], database)
        entries.write(arguments[index], database)
      }
    case "MSET", "MSETNX":
      for index in stride(from: 1, to: arguments.count, by: 2) {
        keys.write(arguments[index], database)
        entries.write(arguments[index], database)
      }
    case "RENAME", "RENAMENX":
      keys.remove(argument(1), database)
      keys.write(argument(2), database)
      move(argument(1), argument(2), to: database)
    case "MOVE":
      keys.remove(argument(1), database)
      keys.write(argument(1), number(2) ?? database)
      move(argument(1), argument(1), to: number(2) ?? database)
    case "COPY":
      keys.write(argument(2), database)
      entries.write(argument(2), database)
    case _ where LogSearch.withoutKey.contains(name):
      guard question == .drops else { return }
      takeAway(command, name, occurrence)
    default:
      guard arguments.count > 1 else { return }
      keys.write(argument(1), database)
      if question == .drops { addEntries(command, name) }
    }
  }

  /// - Parameter count: how many keys it names; `names` may be fewer.
  private mutating func remove(
    _ names: ArraySlice<[UInt8]?>, of count: UInt64, _ occurrence: Occurrence
  ) {
    let total = entries.total
    var removed = count - min(count, UInt64(names.count))
    for key in names {
      keys.remove(key, database)
      removed &+= entries.remove(key, database)
    }
    guard question == .drops else { return }
    extendRow(occurrence, keys: count, entries: removed, of: total)
  }

  private mutating func move(_ key: [UInt8]?, _ target: [UInt8]?, to other: Int) {
    let count = entries.remove(key, database)
    entries.append(count, to: target, other)
  }

  /// Some entries were removed from a key that remains. Only removals by name are reported: removals from a
  /// queue or an application log are normal operation.
  private mutating func takeAway(
    _ command: AOFCommandReader.Command, _ name: String, _ occurrence: Occurrence
  ) {
    let arguments = command.arguments
    guard arguments.count > 1 else { return }
    let unread = command.count - UInt64(arguments.count)
    func number(_ index: Int) -> UInt64? {
      guard index < arguments.count, let text = arguments[index] else { return nil }
      return UInt64(String(decoding: text, as: UTF8.self))
    }
    switch name {
    case "HDEL", "SREM", "ZREM", "VREM", "ARDEL", "HGETDEL":
      let total = entries.total
      // HGETDEL key FIELDS n field…
      let removed = entries.remove(
        arguments.dropFirst(name == "HGETDEL" ? 4 : 2), unread: unread, from: arguments[1], database
      )
      extendRow(occurrence, keys: 0, entries: removed, of: total)
    case "XDEL", "ZPOPMIN", "ZPOPMAX", "LPOP", "RPOP", "SPOP":
      let count = name == "XDEL" ? command.count - 2 : number(2) ?? 1
      _ = entries.remove(
        EmptyCollection<[UInt8]?>(), unread: min(count, UInt64(UInt32.max)), from: arguments[1],
        database)
    case "LTRIM":
      // Removes from the beginning up to an item, as most trims do.
      if let from = number(2), let to = number(3), from <= to, to < UInt64(UInt32.max) {
        entries.trim(arguments[1], to: to - from + 1, database)
      }
    case "XTRIM": trimStream(command)
    default: break
    }
  }

  private mutating func addEntries(_ command: AOFCommandReader.Command, _ name: String) {
    let arguments = command.arguments
    let key = arguments[1]
    switch name {
    case "HSET", "HMSET", "HSETNX", "HINCRBY", "HINCRBYFLOAT":
      entries.write(
        stride(from: 2, to: arguments.count, by: 2).lazy.map { arguments[$0] }, to: key, database)
    case "HSETEX":
      // Options come before FIELDS n field value…
      let place = arguments.firstIndex {
        $0.map { String(decoding: $0, as: UTF8.self).uppercased() } == "FIELDS"
      }
      entries.write(
        stride(from: (place ?? arguments.count) + 2, to: arguments.count, by: 2).lazy.map {
          arguments[$0]
        }, to: key, database)
    case "ARSET": entries.append(command.count - min(command.count, 3), to: key, database)
    case "ARMSET": entries.append((command.count - min(command.count, 2)) / 2, to: key, database)
    case "ARINSERT": entries.append(command.count - min(command.count, 2), to: key, database)
    case "ARRING": entries.append(command.count - min(command.count, 3), to: key, database)
    case "VADD": entries.append(1, to: key, database)
    case "SADD": entries.write(arguments.dropFirst(2), to: key, database)
    case "ZADD", "ZINCRBY":
      // NX, XX, GT, LT, CH and INCR come before the scores.
      let first = arguments.indices.dropFirst(2).first { LogSearch.isScore(arguments[$0]) }
      let members = stride(from: (first ?? arguments.count) + 1, to: arguments.count, by: 2)
      entries.write(members.lazy.map { arguments[$0] }, to: key, database)
    case "RPUSH", "LPUSH", "RPUSHX", "LPUSHX":
      entries.append(command.count - min(command.count, 2), to: key, database)
    case "XADD":
      entries.append(1, to: key, database)
      trimStream(command)
    default: entries.write(key, database)
    }
  }

  private static func isScore(_ argument: [UInt8]?) -> Bool {
    guard let first = argument?.first else { return false }
    // Digits, a sign, a point; inf and nan.
    return (43...57).contains(first)
      || [UInt8(ascii: "i"), UInt8(ascii: "n")].contains(first)
        && argument!.count == 3
  }

  /// `XADD key MAXLEN [=|~] n …`, `XTRIM key MAXLEN [=|~] n`.
  private mutating func trimStream(_ command: AOFCommandReader.Command) {
    let words = command.arguments.prefix(8).map { String(decoding: $0 ?? [], as: UTF8.self) }
    guard let place = words.firstIndex(where: { $0.uppercased() == "MAXLEN" }) else { return }
    if let count = words[(place + 1)...].prefix(2).compactMap({ UInt64($0) }).first {
      entries.trim(command.arguments[1], to: count, database)
    }
  }

  /// Commands that name no key, or create none.
  private static let withoutKey: Set<String> = [
    "MULTI", "EXEC", "DISCARD", "FUNCTION", "SCRIPT", "EVAL", "EVALSHA", "FCALL", "PUBLISH",
    "SPUBLISH", "PING", "EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "PERSIST", "HDEL", "SREM",
    "ZREM", "VREM", "ARDEL", "ARDELRANGE", "HGETDEL", "HPEXPIREAT", "HEXPIREAT", "HPERSIST",
    "XGROUP",
    "XDELEX", "XACKDEL", "XNACK", "XCFGSET", "XIDMPRECORD", "CLUSTER", "TRIMSLOTS", "PHDEL", "LPOP",
    "RPOP", "SPOP", "LREM", "LTRIM", "XDEL", "XTRIM", "XACK", "ZPOPMIN", "ZPOPMAX",
  ]
}

extension DatasetRecord.Database {
  /// Fields, members, items and the like, and keys that have none.
  package var entries: UInt64 {
    types.values.reduce(0) { $0 &+ max($1.keys, $1.elements) }
  }
}
