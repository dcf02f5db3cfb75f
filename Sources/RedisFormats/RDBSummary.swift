/// The result of a walk over an RDB; during the walk, the part so far.
package struct RDBSummary: Sendable, Equatable, Codable {
  package enum Checksum: String, Sendable, Equatable, Codable {
    /// The trailer is zero, because the server had `rdbchecksum no`. Or the version is below 5, which has no
    /// trailer.
    case none
    case matches, differs
    /// The trailer was not reached, or there is none (LZ4 envelope).
    case pending
  }

  /// `REDIS` or `VALKEY`; empty before the magic was read.
  package var magic: String
  /// The RDB version, not the server's.
  package var version: Int
  /// `redis-ver` or `valkey-ver`.
  package var serverVersion: String?
  package var isValkey: Bool
  /// The second in which the save started.
  package var createdAtSeconds: Int64?
  /// At most 64 entries of at most 256 bytes each, only UTF-8, without Valkey's `slot-info`.
  package var auxiliary: [String: String]
  /// Only databases with keys.
  package var databases: [Int: DatabaseSummary]
  /// The number of function libraries.
  package var functions: Int
  package var checksum: Checksum
  /// The bytes of the RDB so far. If it is malformed, up to the fault.
  package var byteCount: UInt64
  /// Whether the walk found something unknown. The counts then only cover what came before it.
  package var isPartial = false
  /// Whether it has the hash slots of its keys, so a cluster node wrote it. Older servers do not write them.
  package var hasSlots = false

  package init(
    magic: String = "", version: Int = 0, serverVersion: String? = nil, isValkey: Bool = false,
    createdAtSeconds: Int64? = nil, auxiliary: [String: String] = [:],
    databases: [Int: DatabaseSummary] = [:], functions: Int = 0, checksum: Checksum = .pending,
    byteCount: UInt64 = 0
  ) {
    self.magic = magic
    self.version = version
    self.serverVersion = serverVersion
    self.isValkey = isValkey
    self.createdAtSeconds = createdAtSeconds
    self.auxiliary = auxiliary
    self.databases = databases
    self.functions = functions
    self.checksum = checksum
    self.byteCount = byteCount
  }

  package var keys: UInt64 { sum { $0.keys } }
  /// Keys with a time to live.
  package var expires: UInt64 { sum { $0.expires } }
  package var elements: UInt64 { sum { $0.elements } }
  /// Hash fields with a time to live.
  package var fieldExpires: UInt64 { sum { $0.fieldExpires } }

  private func sum(_ count: (DatabaseSummary) -> UInt64) -> UInt64 {
    databases.values.reduce(0) { $0 &+ count($1) }
  }
}

package struct DatabaseSummary: Sendable, Equatable, Codable {
  package var keys: UInt64
  package var expires: UInt64
  package var fieldExpires: UInt64
  /// By `string`, `list`, `set`, `zset`, `hash`, `stream` and `module`. Only types with keys.
  package var types: [String: TypeSummary]

  package init(
    keys: UInt64 = 0, expires: UInt64 = 0, fieldExpires: UInt64 = 0,
    types: [String: TypeSummary] = [:]
  ) {
    self.keys = keys
    self.expires = expires
    self.fieldExpires = fieldExpires
    self.types = types
  }

  package var elements: UInt64 { types.values.reduce(0) { $0 &+ $1.elements } }
}

package struct TypeSummary: Sendable, Equatable, Codable {
  package var keys: UInt64
  /// The number of list items, set and sorted-set members, hash fields or stream entries. 0 for strings and
  /// modules. It is a lower bound for a packed value with more than 65 534 entries.
  package var elements: UInt64
  /// Encoded bytes of the values, without keys.
  package var bytes: UInt64
  /// Encoded bytes of the largest value.
  package var largest: UInt64

  package init(keys: UInt64 = 0, elements: UInt64 = 0, bytes: UInt64 = 0, largest: UInt64 = 0) {
    self.keys = keys
    self.elements = elements
    self.bytes = bytes
    self.largest = largest
  }
}
