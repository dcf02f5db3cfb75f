extension Dataset {
  /// Reads everything. The server should be idle, since keys are read one after another.
  package static func read(from client: RESPClient) throws -> Dataset {
    var reader = DatasetReader(client: client)
    return try reader.read()
  }
}

/// Reads in pipelines of `batch` keys, so that 100,000 keys take seconds.
private struct DatasetReader {
  let client: RESPClient
  let batch = 500
  var hasFieldExpiry = true

  mutating func read() throws -> Dataset {
    var dataset = Dataset()
    for database in try databases() {
      try client.command("SELECT", database)
      let keys = try array(client.command("KEYS", "*")).map(blob)
      var entries: [Blob: Dataset.Entry] = [:]
      for start in stride(from: 0, to: keys.count, by: batch) {
        let part = Array(keys[start..<min(start + batch, keys.count)])
        entries.merge(try read(part)) { $1 }
      }
      if !entries.isEmpty { dataset.databases[database] = entries }
    }
    dataset.functions = try functions()
    return dataset
  }

  private func databases() throws -> [Int] {
    let text = try client.command("INFO", "keyspace").string ?? ""
    return text.split { $0.isNewline }.compactMap { line in
      guard line.hasPrefix("db") else { return nil }
      return Int(line.dropFirst(2).prefix { $0 != ":" })
    }
  }

  /// Libraries and their code; before 7.0 there are none.
  private func functions() throws -> [Blob: Blob] {
    let reply = try client.pipeline([["FUNCTION", "LIST", "WITHCODE"]])[0]
    guard case .array(let libraries) = reply else { return [:] }
    var result: [Blob: Blob] = [:]
    for library in libraries {
      let fields = try map(library)
      if let name = fields["library_name"], let code = fields["library_code"] {
        result[try blob(name)] = try blob(code)
      }
    }
    return result
  }

  private mutating func read(_ keys: [Blob]) throws -> [Blob: Dataset.Entry] {
    let types = try client.pipeline(keys.map { ["TYPE", $0] }).map { $0.string ?? "none" }
    let replies = try client.pipeline(zip(keys, types).map { command($0, $1) })
    let expiries = try expiries(keys)
    var entries: [Blob: Dataset.Entry] = [:]
    for (index, key) in keys.enumerated() {
      // A key that expired meanwhile is not content.
      guard types[index] != "none", let expiry = expiries[index] else { continue }
      let value = try value(key, types[index], replies[index])
      entries[key] = Dataset.Entry(value: value, expiry: expiry == -1 ? nil : expiry)
    }
    return entries
  }

  private func command(_ key: Blob, _ type: String) -> [any RESPArgument] {
    switch type {
    case "string": ["GET", key]
    case "list": ["LRANGE", key, 0, -1]
    case "set": ["SMEMBERS", key]
    case "zset": ["ZRANGE", key, 0, -1, "WITHSCORES"]
    case "hash": ["HGETALL", key]
    case "stream": ["XRANGE", key, "-", "+"]
    default: ["DUMP", key]
    }
  }

  private mutating func value(
    _ key: Blob, _ type: String, _ reply: RESPValue
  ) throws -> Dataset.Value {
    switch type {
    case "string": return .string(try blob(reply))
    case "list": return .list(try array(reply).map(blob))
    case "set": return .set(try array(reply).map(blob).sorted())
    case "zset":
      let scores = try pairs(reply).map { member, score in
        guard let value = Double(score.string ?? "") else { throw unexpected(score) }
        return (try blob(member), value.bitPattern)
      }
      return .sortedSet(Dictionary(scores) { $1 })
    case "hash": return .hash(try fields(key, reply))
    case "stream": return .stream(try stream(key, reply))
    default: return .other(type, try blob(reply))
    }
  }

  private mutating func fields(_ key: Blob, _ reply: RESPValue) throws -> [Blob: Dataset.Field] {
    let pairs = try pairs(reply).map { (try blob($0), try blob($1)) }
    var fields = Dictionary(pairs.map { ($0, Dataset.Field(value: $1, expiry: nil)) }) { $1 }
    guard hasFieldExpiry, !pairs.isEmpty else { return fields }
    let question: [any RESPArgument] = ["HPEXPIRETIME", key, "FIELDS", pairs.count]
    switch try client.pipeline([question + pairs.map { $0.0 }])[0] {
    case .error(let message) where message.contains("unknown command"): hasFieldExpiry = false
    case .array(let times):
      for (pair, time) in zip(pairs, times) {
        if let time = time.integer, time >= 0 { fields[pair.0]?.expiry = time }
      }
    case let other: throw unexpected(other)
    }
    return fields
  }

  /// The absolute expiry of each key: -1 for none, nil for a missing key.
  private func expiries(_ keys: [Blob]) throws -> [Int?] {
    let replies = try client.pipeline(keys.map { ["PEXPIRETIME", $0] })
    if case .error = replies.first { return try expiriesBefore7(keys) }
    return replies.map { reply in reply.integer.flatMap { $0 == -2 ? nil : $0 } }
  }

  /// 6.2 only gives the remaining time. If the server's clock shows the same millisecond before and after
  /// this is read, the expiry is exact.
  private func expiriesBefore7(_ keys: [Blob]) throws -> [Int?] {
    let left = try client.pipeline(keys.map { ["PTTL", $0] }).map(\.integer)
    return try zip(keys, left).map { key, left in
      guard let left, left != -2 else { return nil }
      if left == -1 { return -1 }
      while true {
        let replies = try client.pipeline([["MULTI"], ["TIME"], ["PTTL", key], ["TIME"], ["EXEC"]])
        let results = try array(replies[4])
        guard let left = results[1].integer, left >= 0 else { return nil }
        let (before, after) = (try milliseconds(results[0]), try milliseconds(results[2]))
        if before == after { return before + left }
      }
    }
  }

  private func milliseconds(_ time: RESPValue) throws -> Int {
    let parts = try array(time)
    guard parts.count == 2, let seconds = parts[0].integer, let micro = parts[1].integer else {
      throw unexpected(time)
    }
    return seconds * 1000 + micro / 1000
  }

  private func stream(_ key: Blob, _ reply: RESPValue) throws -> Dataset.Stream {
    let entries = try array(reply).map { entry in
      let parts = try array(entry)
      return Dataset.StreamEntry(id: try blob(parts[0]), fields: try array(parts[1]).map(blob))
    }
    let information = try map(client.command("XINFO", "STREAM", key))
    var groups: [Blob: Dataset.Group] = [:]
    for group in try array(client.command("XINFO", "GROUPS", key)) {
      let facts = try map(group)
      let name = try blob(facts["name"] ?? .null)
      let pending = try array(client.command("XPENDING", key, name, "-", "+", Int(Int32.max)))
        .map { item in
          let parts = try array(item)
          return (
            try blob(parts[0]),
            Dataset.Pending(consumer: try blob(parts[1]), deliveries: parts[3].integer ?? -1)
          )
        }
      groups[name] = Dataset.Group(
        lastDelivered: try blob(facts["last-delivered-id"] ?? .null),
        pending: Dictionary(pending) { $1 })
    }
    return Dataset.Stream(
      entries: entries, lastID: try blob(information["last-generated-id"] ?? .null), groups: groups)
  }

  private func array(_ reply: RESPValue) throws -> [RESPValue] {
    guard case .array(let elements) = reply else { throw unexpected(reply) }
    return elements
  }

  private func blob(_ reply: RESPValue) throws -> Blob {
    guard let bytes = reply.bytes else { throw unexpected(reply) }
    return Blob(bytes)
  }

  private func pairs(_ reply: RESPValue) throws -> [(RESPValue, RESPValue)] {
    let elements = try array(reply)
    return stride(from: 0, to: elements.count - 1, by: 2).map { (elements[$0], elements[$0 + 1]) }
  }

  private func map(_ reply: RESPValue) throws -> [String: RESPValue] {
    Dictionary(try pairs(reply).map { ($0.string ?? "", $1) }) { $1 }
  }

  private func unexpected(_ reply: RESPValue) -> HarnessError {
    HarnessError("unexpected reply: \(String(describing: reply).prefix(200))")
  }
}
