import RedisFormats

/// The effect of commands on one key, in the form that they have in an append-only file: if a command depends
/// on time or chance, the server writes its result to the file instead. Each function returns false for a
/// command that it does not follow.
enum KeyChange {
  typealias Change = @Sendable (_ arguments: [[UInt8]], _ state: inout KeyModel.State) -> Bool

  static let commands: [String: Change] = [
    "SET": set, "SETNX": { $0.count == 1 && set($0, &$1) }, "APPEND": append,
    "INCR": { count($0 + [Array("1".utf8)], &$1, 1) },
    "DECR": { count($0 + [Array("1".utf8)], &$1, -1) }, "INCRBY": { count($0, &$1, 1) },
    "DECRBY": { count($0, &$1, -1) }, "PERSIST": { persist($0, &$1) },
    "PEXPIREAT": { expire($0, &$1, 1) }, "EXPIREAT": { expire($0, &$1, 1000) },
    "HSET": setFields, "HMSET": setFields, "HSETNX": setFields, "HDEL": removeFields,
    "HINCRBY": countField, "RPUSH": { push($0, &$1) { $0 + $1 } },
    "LPUSH": { push($0, &$1) { $1.reversed() + $0 } }, "RPOP": { pop($0, &$1, fromEnd: true) },
    "LPOP": { pop($0, &$1, fromEnd: false) }, "SADD": addMembers, "SREM": removeMembers,
    "ZADD": addScores, "ZREM": removeScores,
  ]

  private static func text(_ bytes: [UInt8]) -> String {
    String(decoding: bytes, as: UTF8.self).uppercased()
  }
  private static func integer(_ bytes: [UInt8]) -> Int64? {
    Int64(String(decoding: bytes, as: UTF8.self))
  }
  private static func bytes(_ value: Int64) -> [UInt8] { Array(String(value).utf8) }

  // MARK: Strings and times

  private static func set(_ arguments: [[UInt8]], _ state: inout KeyModel.State) -> Bool {
    guard let value = arguments.first else { return false }
    var expiry: Int64?
    var index = 1
    while index < arguments.count {
      switch text(arguments[index]) {
      case "NX", "XX", "GET": break  // it is in the log because it was done
      case "KEEPTTL": expiry = state.expiresAt
      case "PXAT":
        guard index + 1 < arguments.count, let at = integer(arguments[index + 1]) else {
          return false
        }
        expiry = at
        index += 1
      default: return false
      }
      index += 1
    }
    state = .init(value: .string(value), expiresAt: expiry)
    return true
  }

  private static func append(_ arguments: [[UInt8]], _ state: inout KeyModel.State) -> Bool {
    guard arguments.count == 1 else { return false }
    switch state.value {
    case nil: state = .init(value: .string(arguments[0]))
    case .string(let old): state.value = .string(old + arguments[0])
    default: return false
    }
    return true
  }

  private static func count(_ arguments: [[UInt8]], _ state: inout KeyModel.State, _ sign: Int64)
    -> Bool
  {
    guard arguments.count == 1, let by = integer(arguments[0]) else { return false }
    var old: Int64 = 0
    switch state.value {
    case nil: state.expiresAt = nil
    case .string(let text):
      guard let value = integer(text) else { return false }
      old = value
    default: return false
    }
    let (step, overflow) = by.multipliedReportingOverflow(by: sign)
    let (sum, overflowed) = old.addingReportingOverflow(step)
    guard !overflow, !overflowed else { return false }
    state.value = .string(bytes(sum))
    return true
  }

  private static func persist(_ arguments: [[UInt8]], _ state: inout KeyModel.State) -> Bool {
    guard arguments.isEmpty else { return false }
    state.expiresAt = nil
    return true
  }

  private static func expire(_ arguments: [[UInt8]], _ state: inout KeyModel.State, _ unit: Int64)
    -> Bool
  {
    guard arguments.count == 1, let at = integer(arguments[0]), state.value != nil else {
      return false
    }
    let (time, overflow) = at.multipliedReportingOverflow(by: unit)
    state.expiresAt = time
    return !overflow
  }

  // MARK: Hashes

  private static func fields(_ state: KeyModel.State) -> [[UInt8]: [UInt8]]? {
    switch state.value {
    case nil: [:]
    case .hash(let fields): fields
    default: nil
    }
  }

  private static func setFields(_ arguments: [[UInt8]], _ state: inout KeyModel.State) -> Bool {
    guard !arguments.isEmpty, arguments.count % 2 == 0, var fields = fields(state) else {
      return false
    }
    for index in stride(from: 0, to: arguments.count, by: 2) {
      fields[arguments[index]] = arguments[index + 1]
    }
    state.value = .hash(fields)
    return true
  }

  private static func removeFields(_ arguments: [[UInt8]], _ state: inout KeyModel.State) -> Bool {
    guard var fields = fields(state) else { return false }
    for name in arguments { fields[name] = nil }
    state.value = fields.isEmpty ? nil : .hash(fields)
    return true
  }

  private static func countField(_ arguments: [[UInt8]], _ state: inout KeyModel.State) -> Bool {
    guard arguments.count == 2, var fields = fields(state), let by = integer(arguments[1]) else {
      return false
    }
    guard let old = fields[arguments[0]].map(integer) ?? 0 else { return false }
    let (sum, overflow) = old.addingReportingOverflow(by)
    guard !overflow else { return false }
    fields[arguments[0]] = bytes(sum)
    state.value = .hash(fields)
    return true
  }

  // MARK: Lists

  private static func push(
    _ arguments: [[UInt8]], _ state: inout KeyModel.State,
    _ join: (_ old: [[UInt8]], _ new: [[UInt8]]) -> [[UInt8]]
  ) -> Bool {
    switch state.value {
    case nil: state.value = .list(join([], arguments))
    case .list(let items): state.value = .list(join(items, arguments))
    default: return false
    }
    return true
  }

  private static func pop(
    _ arguments: [[UInt8]], _ state: inout KeyModel.State, fromEnd: Bool
  ) -> Bool {
    guard arguments.count <= 1, let count = arguments.first.map(integer) ?? 1, count >= 0,
      case .list(let items) = state.value
    else { return false }
    let number = Int(min(count, Int64(items.count)))
    let left = fromEnd ? Array(items.dropLast(number)) : Array(items.dropFirst(number))
    state.value = left.isEmpty ? nil : .list(left)
    return true
  }

  // MARK: Sets

  private static func addMembers(_ arguments: [[UInt8]], _ state: inout KeyModel.State) -> Bool {
    switch state.value {
    case nil: state.value = .set(Set(arguments))
    case .set(let members): state.value = .set(members.union(arguments))
    default: return false
    }
    return true
  }

  private static func removeMembers(_ arguments: [[UInt8]], _ state: inout KeyModel.State) -> Bool {
    guard case .set(let members) = state.value else { return state.value == nil }
    let left = members.subtracting(arguments)
    state.value = left.isEmpty ? nil : .set(left)
    return true
  }

  private static func scores(_ state: KeyModel.State) -> [[UInt8]: Double]? {
    switch state.value {
    case nil: [:]
    case .sortedSet(let members): members
    default: nil
    }
  }

  private static func addScores(_ arguments: [[UInt8]], _ state: inout KeyModel.State) -> Bool {
    guard !arguments.isEmpty, arguments.count % 2 == 0, var members = scores(state) else {
      return false
    }
    for index in stride(from: 0, to: arguments.count, by: 2) {
      // With options, the number of arguments differs, or there is an option where a score would be.
      guard let score = Double(String(decoding: arguments[index], as: UTF8.self)) else {
        return false
      }
      members[arguments[index + 1]] = score
    }
    state.value = .sortedSet(members)
    return true
  }

  private static func removeScores(_ arguments: [[UInt8]], _ state: inout KeyModel.State) -> Bool {
    guard var members = scores(state) else { return false }
    for name in arguments { members[name] = nil }
    state.value = members.isEmpty ? nil : .sortedSet(members)
    return true
  }
}
