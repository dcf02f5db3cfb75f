import BackupTypes
import HistoryLogic
import RedisFormats

/// The largest keys of a full copy, and its groups of keys, as `inspect` shows them.
package struct KeyReport: Sendable, Encodable {
  package struct Key: Sendable, Encodable {
    package var name: String
    package var database: Int
    package var type: String
    package var elements: UInt64
    package var bytes: UInt64
    package var expiresAt: String?
  }
  package struct Prefix: Sendable, Encodable {
    /// Absent for the keys without a prefix.
    package var prefix: String?
    package var keys: UInt64
    package var elements: UInt64
    package var bytes: UInt64
  }

  /// When the full copy was made.
  package var at: String?
  package var largest: [Key]
  package var prefixes: [Prefix]
  /// By how much the bytes of a prefix may be too low. Absent if they are exact.
  package var prefixErrorBytes: UInt64?

  /// Longer names are truncated.
  private static let nameMax = 100

  init(_ census: KeyCensus, at: Instant?) {
    self.at = at?.description
    largest = census.largest.map {
      Key(
        name: KeyReport.shown($0.name), database: $0.database, type: $0.type,
        elements: $0.elements, bytes: $0.bytes,
        expiresAt: $0.expiresAt.map { Instant(milliseconds: $0).description })
    }
    prefixes = census.prefixes.map {
      Prefix(
        prefix: $0.prefix.isEmpty ? nil : KeyReport.shown($0.prefix), keys: $0.keys,
        elements: $0.elements, bytes: $0.bytes)
    }
    prefixErrorBytes = census.prefixError > 0 ? census.prefixError : nil
  }

  private static func shown(_ name: [UInt8]) -> String {
    // Truncated before it is decoded: an incomplete character at the end is escaped like any other.
    printable(String(decoding: name.prefix(4 * nameMax), as: UTF8.self), limit: nameMax)
  }

  var text: String {
    guard !largest.isEmpty else { return "" }
    let when = at.map { " of \($0)" } ?? ""
    var text = "largest keys of the full copy\(when):\n"
    for key in largest {
      text += "  \(humanBytes(key.bytes))  \(key.type)"
      if key.elements > 0 { text += " of \(key.elements)" }
      text += "  db \(key.database)  \(key.name)"
      if let expiresAt = key.expiresAt { text += "  (expires \(expiresAt))" }
      text += "\n"
    }
    text += "prefixes"
    if let prefixErrorBytes {
      text +=
        " (estimated: each may be up to \(humanBytes(prefixErrorBytes)) larger)"
    }
    text += ":\n"
    for one in prefixes {
      text += "  \(humanBytes(one.bytes))  \(counted(one.keys, "key"))"
      if one.elements > 0 { text += ", \(counted(one.elements, "element"))" }
      text += "  \(one.prefix ?? "(names without : @ / . |)")\n"
    }
    return text
  }
}

extension [RayNamespace] {
  /// - Parameter state: the state that the text is about.
  func text(_ state: String) -> String {
    guard !isEmpty else { return "" }
    var text =
      "Ray clusters \(state), including ended jobs, actors and nodes that are still recorded:\n"
    for one in self {
      text += "  namespace \(one.namespace)"
      if one.database > 0 { text += " in db \(one.database)" }
      text += ": \(counted(one.jobs, "job"))"
      if let counter = one.jobCounter { text += " (counter at \(counter))" }
      text +=
        ", \(counted(one.actors, "actor")), \(counted(one.nodes, "node")), \(counted(one.workers, "worker")), "
      text +=
        "\(counted(one.placementGroups, "placement group")), \(counted(one.entries, "KV entry", "KV entries")) of "
      text += humanBytes(one.entryBytes) + (one.isEstimate ? " (estimates)\n" : "\n")
    }
    return text
      + "  a new RayCluster finds this state only if its externalStorageNamespace is the namespace above\n"
  }
}
