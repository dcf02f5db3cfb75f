/// The fields of a server's INFO that matter to a replica. Safe for any text: a field that is missing or has
/// an invalid value is nil.
package struct ReplicationInfo: Sendable, Equatable {
  package enum Role: Sendable, Equatable { case primary, replica }
  /// The kind of server. Other forks report that they are Redis.
  package enum Product: Sendable, Equatable { case redis, valkey }

  /// The server that a replica replicates from.
  package struct Upstream: Sendable, Equatable {
    package var host: String
    package var port: Int
    /// `master_link_status`
    package var isUp: Bool
    /// `master_sync_in_progress`: its data is being replaced.
    package var isSyncing: Bool
    package init(host: String, port: Int, isUp: Bool, isSyncing: Bool) {
      self.host = host
      self.port = port
      self.isUp = isUp
      self.isSyncing = isSyncing
    }
  }

  package var product = Product.redis
  /// The server's own version. For Valkey, this is not the Redis version that it also reports.
  package var version: String?
  /// `run_id`, which is new at each start.
  package var runID: String?
  /// `redis_mode` is `sentinel`, so it is not a server with data.
  package var isSentinel = false
  /// `redis_mode` or `cluster_enabled`: a node of a cluster.
  package var isCluster = false

  package var role: Role?
  package var upstream: Upstream?
  /// `master_replid`, 40 hexadecimal digits.
  package var historyID: String?
  /// `master_replid2`: the history that the current one continues; nil if there is none.
  package var formerHistoryID: String?
  /// `second_repl_offset`: the first offset that the former history does not share; nil if there is none.
  package var formerHistoryEnd: UInt64?
  /// `master_repl_offset`: the last byte of the stream.
  package var offset: UInt64?
  /// `repl_backlog_first_byte_offset`; nil if there is no backlog.
  package var backlogStart: UInt64?
  /// `repl_backlog_size`, bytes.
  package var backlogBytesMax: UInt64?
  /// `master_failover_state` is not `no-failover`.
  package var isFailingOver = false

  /// Whether there is a key or a library of functions; nil if there is no section Keyspace.
  package var hasData: Bool?
  /// How many keys each database had.
  package var keys = KeyBounds.unknown
  /// `used_memory`, bytes.
  package var usedMemory: UInt64?
  /// `loading`: the server is reading its data, and answers few commands.
  package var isLoading = false
  /// `rdb_bgsave_in_progress`: a fork is writing an RDB. This can also be a full sync.
  package var isSaving = false
  /// `aof_rewrite_in_progress`.
  package var isRewriting = false
  /// `aof_enabled`; nil if it is missing.
  package var hasAppendOnlyFile: Bool?

  /// Only this much of the text is read. INFO is shorter.
  package static let bytesMax = 1 << 20

  package init() {}

  /// - Parameter info: the reply to INFO, or to some of its sections: server, replication, keyspace, memory,
  ///   persistence.
  package init(parsing info: some Sequence<UInt8>) {
    var fields: [String: String] = [:]
    var databases: [(number: Int, keys: UInt64, expires: UInt64)] = []
    let text = Array(info.prefix(ReplicationInfo.bytesMax))
    for line in text.split(whereSeparator: { $0 == 13 || $0 == 10 }) {
      if line.first == UInt8(ascii: "#") {
        let title = line.dropFirst().drop { $0 == 32 }
        if title.elementsEqual("Keyspace".utf8) { hasData = hasData ?? false }
        continue
      }
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
      let name = line[..<colon]
      let value = String(decoding: line[(colon + 1)...], as: UTF8.self)
      if name.starts(with: "db".utf8), name.count > 2, name.dropFirst(2).allSatisfy(isDigit) {
        hasData = hasData == true || !value.hasPrefix("keys=0,")
        let number = Int(String(decoding: name.dropFirst(2), as: UTF8.self))
        if let database = number.flatMap({ counts(value, of: $0) }) { databases.append(database) }
      } else {
        fields[String(decoding: name, as: UTF8.self)] = value
      }
    }
    if hasData != nil { keys = KeyBounds(counted: databases) }
    take(fields)
  }

  private mutating func take(_ fields: [String: String]) {
    if let valkey = fields["valkey_version"] {
      product = .valkey
      version = valkey
    } else {
      version = fields["redis_version"]
    }
    runID = fields["run_id"].flatMap(identifier)
    isSentinel = fields["redis_mode"] == "sentinel" || fields["server_mode"] == "sentinel"
    isCluster =
      fields["redis_mode"] == "cluster" || fields["server_mode"] == "cluster"
      || fields["cluster_enabled"] == "1"
    switch fields["role"] {
    case "master": role = .primary
    case "slave", "replica": role = .replica
    default: break
    }
    if let host = fields["master_host"], let port = fields["master_port"].flatMap({ Int($0) }) {
      upstream = Upstream(
        host: host, port: port, isUp: fields["master_link_status"] == "up",
        isSyncing: fields["master_sync_in_progress"] == "1")
    }
    historyID = fields["master_replid"].flatMap(identifier)
    // Forty zeros and -1 mean none.
    formerHistoryID = fields["master_replid2"].flatMap(identifier).flatMap { id in
      id.allSatisfy { $0 == "0" } ? nil : id
    }
    if formerHistoryID != nil { formerHistoryEnd = number(fields["second_repl_offset"]) }
    offset = number(fields["master_repl_offset"])
    if fields["repl_backlog_active"] == "1" {
      backlogStart = number(fields["repl_backlog_first_byte_offset"])
    }
    backlogBytesMax = number(fields["repl_backlog_size"])
    isFailingOver = fields["master_failover_state"].map { $0 != "no-failover" } ?? false
    usedMemory = number(fields["used_memory"])
    // Valkey and 7.0 also have `async_loading`, during which the old data is served.
    isLoading = fields["loading"] == "1"
    // Since Redis 7.0.
    if hasData == false, number(fields["number_of_libraries"]) ?? 0 > 0 { hasData = true }
    isSaving = fields["rdb_bgsave_in_progress"] == "1"
    isRewriting = fields["aof_rewrite_in_progress"] == "1"
    hasAppendOnlyFile = fields["aof_enabled"].map { $0 == "1" }
  }
}

private func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }

/// `keys=10,expires=2,avg_ttl=0`
private func counts(_ text: String, of number: Int) -> (number: Int, keys: UInt64, expires: UInt64)?
{
  var values: [Substring: UInt64] = [:]
  for field in text.split(separator: ",") {
    let parts = field.split(separator: "=")
    if parts.count == 2 { values[parts[0]] = UInt64(parts[1]) }
  }
  guard let keys = values["keys"] else { return nil }
  return (number, keys, values["expires"] ?? 0)
}

private func number(_ text: String?) -> UInt64? { text.flatMap { UInt64($0) } }

private func identifier(_ text: String) -> String? {
  let isOne =
    text.utf8.count == 40 && text.utf8.allSatisfy { isDigit($0) || (97...102).contains($0) }
  return isOne ? text : nil
}
