import BackupTypes
import HistoryLogic
import RedisFormats

/// Compares a server's values of keys with our own reading.
struct ValueComparison {
  /// Keys requested at once.
  private static let batch = 50
  /// A key that expires within this time is not compared, because it may be gone by then.
  private static let margin: Int64 = 600_000

  private(set) var compared = 0
  private(set) var differences: [String] = []
  private let server: RESPConnection

  init(_ server: RESPConnection) { self.server = server }

  mutating func run(_ model: KeyModel, now: Instant) throws {
    let soon = now.advanced(byMilliseconds: ValueComparison.margin).milliseconds
    let byDatabase = Dictionary(
      grouping: model.states.filter { $0.value.expiresAt.map { $0 > soon } ?? true },
      by: \.key.database)
    for (database, states) in byDatabase.sorted(by: { $0.key < $1.key }) {
      let selected = try server.command("SELECT", "\(database)")
      guard selected == .status("OK") else {
        differences.append("db \(database): the server does not have it")
        continue
      }
      for start in stride(from: 0, to: states.count, by: ValueComparison.batch) {
        try compare(states[start..<min(start + ValueComparison.batch, states.count)])
      }
    }
  }

  private mutating func compare(
    _ states: ArraySlice<Dictionary<KeyModel.Place, KeyModel.State>.Element>
  ) throws {
    let replies = try server.pipeline(
      states.flatMap { place, state in
        [question(place.name, state.value), [Array("PTTL".utf8), place.name]]
      })
    for (index, (place, state)) in states.enumerated() {
      compared += 1
      let what = "db \(place.database), key \(printable(name(place), limit: 60))"
      if let difference = difference(state.value, replies[2 * index]) {
        differences.append("\(what): \(difference)")
      } else if state.value != nil,
        (replies[2 * index + 1] == .integer(-1)) != (state.expiresAt == nil)
      {
        differences.append(
          what + (state.expiresAt == nil ? ": it has an expiry" : ": it has lost its expiry"))
      }
    }
  }

  private func name(_ place: KeyModel.Place) -> String {
    String(decoding: place.name, as: UTF8.self)
  }

  private func question(_ name: [UInt8], _ value: RedisValue?) -> [[UInt8]] {
    let words: (String, [String]) =
      switch value {
      case nil: ("EXISTS", [])
      case .string: ("GET", [])
      case .list: ("LRANGE", ["0", "-1"])
      case .set: ("SMEMBERS", [])
      case .sortedSet: ("ZRANGE", ["0", "-1", "WITHSCORES"])
      case .hash: ("HGETALL", [])
      }
    return [Array(words.0.utf8), name] + words.1.map { Array($0.utf8) }
  }

  /// The difference; nil if there is none.
  private func difference(_ expected: RedisValue?, _ reply: RESPReply) -> String? {
    guard let expected else {
      return reply == .integer(0) ? nil : "it was deleted, but the server has it"
    }
    if case .failure(let text) = reply { return printable(text, limit: 80) }
    if reply == .null || reply == .array([]) { return "it is missing" }
    switch expected {
    case .string(let bytes): return reply.bytes == bytes ? nil : "its value differs"
    case .list(let items): return reply.strings == items ? nil : "its items differ"
    case .set(let members):
      return reply.strings.map { Set($0) } == members ? nil : "its members differ"
    case .hash(let fields):
      return pairs(reply).map { difference(fields, $0) } ?? "its fields can't be read"
    case .sortedSet(let members):
      guard let found = pairs(reply) else { return "its members can't be read" }
      let scores = found.mapValues { Double(String(decoding: $0, as: UTF8.self)) }
      return scores == members.mapValues { Optional($0) } ? nil : "its members or scores differ"
    }
  }

  private func difference(_ fields: [[UInt8]: [UInt8]], _ found: [[UInt8]: [UInt8]]) -> String? {
    guard fields != found else { return nil }
    let missing = fields.keys.filter { found[$0] == nil }.count
    let more = found.keys.filter { fields[$0] == nil }.count
    let other = fields.count { name, value in found[name].map { $0 != value } ?? false }
    return "of its fields, \(missing) missing, \(more) unexpected, \(other) different"
  }

  private func pairs(_ reply: RESPReply) -> [[UInt8]: [UInt8]]? {
    guard let strings = reply.strings, strings.count % 2 == 0 else { return nil }
    var found: [[UInt8]: [UInt8]] = [:]
    for index in stride(from: 0, to: strings.count, by: 2) {
      found[strings[index]] = strings[index + 1]
    }
    return found
  }
}
