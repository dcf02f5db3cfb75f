import TestSupport

/// Data like that of two Ray clusters in database 0, and some keys of someone else's in database 1.
enum RayLike {
  static func load(_ client: RESPClient, from: Int, to: Int) throws {
    for index in from...to {
      for (table, every) in [("ACTOR", 2), ("NODE", 9), ("JOB", 7), ("WORKERS", 3), ("KV", 1)]
      where index % every == 0 {
        _ = try client.run([
          "HSET", "RAYblue-1@\(table)", "\(table)-\(index)",
          String(repeating: "\(index)\0\r\n", count: index % 40),
        ])
      }
      if index % 5 == 0 {
        _ = try client.run(["HSETNX", "RAYgreen@KV", "session\(index)", "v\(index)"])
        _ = try client.run(["INCRBY", "RAYblue-1@JobCounter", "1"])
      }
    }
    _ = try client.run(["SELECT", "1"])
    for index in from...to where index % 20 == 0 {
      _ = try client.run(["SET", "other:\(index)", "value"])
    }
    _ = try client.run(["SELECT", "0"])
  }

  /// The texts of an array.
  static func strings(_ value: RESPValue) -> [String] {
    guard case .array(let items) = value else { return [] }
    return items.compactMap(\.string)
  }

  enum Accident: String, CaseIterable, Sendable {
    case flushAll, flushDB, deleteEveryKey, unlinkOneByOne, deleteFields, deleteTheBigKey
  }

  static func happen(_ accident: Accident, _ client: RESPClient) throws {
    func run(_ arguments: String...) throws { _ = try client.run(arguments) }
    let keys = strings(try client.run(["KEYS", "*"])).sorted()
    switch accident {
    case .flushAll: try run("FLUSHALL")
    case .flushDB: try run("FLUSHDB")
    case .deleteEveryKey:
      for database in ["0", "1"] {
        try run("SELECT", database)
        for key in strings(try client.run(["KEYS", "*"])) { try run("DEL", key) }
      }
    case .unlinkOneByOne: for key in keys { try run("UNLINK", key) }
    case .deleteFields:
      for key in keys where !key.hasSuffix("JobCounter") {
        for field in strings(try client.run(["HKEYS", key])) { try run("HDEL", key, field) }
      }
    case .deleteTheBigKey: try run("DEL", "RAYblue-1@KV")
    }
  }
}
