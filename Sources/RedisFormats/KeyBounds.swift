import BackupTypes

/// The number of keys by database, as far as it is known: between `atLeast` and `atMost`.
///
/// A full copy has the exact number. The effect of a log is known from the names in its commands. The names
/// in a full copy are only counted, so it is unknown whether a written name is one of them.
package struct KeyBounds: Sendable, Equatable {
  package struct Database: Sendable, Equatable {
    var atLeast: UInt64 = 0
    /// Nil if it is not known.
    var atMost: UInt64? = 0
    /// At most this many of them have a time to live.
    var expiring: UInt64 = 0
  }

  /// All databases from the last number on count as one.
  static let databasesMax = 16

  var databases: [Database]
  /// The size of a copy that could not be counted.
  package private(set) var uncountedBytes: UInt64?

  private init(_ each: Database) {
    databases = [Database](repeating: each, count: KeyBounds.databasesMax)
  }

  /// No keys.
  package static let none = KeyBounds(Database())
  /// A copy of this many bytes whose keys can't be counted.
  package static func uncounted(bytes: UInt64) -> KeyBounds {
    var bounds = KeyBounds.unknown
    bounds.uncountedBytes = bytes
    guard bytes <= tinyBytes else { return bounds }
    // The header and the fields before the keys have this size. A key needs at least a type, two lengths and
    // a byte.
    bounds = .none
    bounds.uncountedBytes = bytes
    bounds.databases[0].atMost = bytes.subtractingSaturated(64) / 4
    return bounds
  }
  /// A copy up to this size has only a header, or little more.
  package static let tinyBytes: UInt64 = 1024
  package static let unknown = KeyBounds(Database(atLeast: 0, atMost: nil, expiring: 0))

  /// - Parameter isAll: whether there are no other databases.
  package init(
    counted: [(number: Int, keys: UInt64, expires: UInt64)], isAll: Bool = true
  ) {
    self = isAll ? .none : .unknown
    for (number, keys, expires) in counted {
      let index = KeyBounds.index(number)
      databases[index].atLeast.addSaturated(keys)
      databases[index].atMost?.addSaturated(keys)
      databases[index].expiring.addSaturated(expires)
    }
  }

  /// Totals without databases, as in a snapshot.
  package init(atLeast: UInt64, expiring: UInt64) {
    self = .unknown
    databases[0].atLeast = atLeast
    databases[0].expiring = expiring
  }

  static func index(_ database: Int) -> Int { min(max(0, database), databasesMax - 1) }

  package var atLeast: UInt64 { databases.reduce(0) { $0.addingSaturated($1.atLeast) } }
  package var expiring: UInt64 { databases.reduce(0) { $0.addingSaturated($1.expiring) } }
  package var atMost: UInt64? {
    databases.reduce(0 as UInt64?) { sum, each in
      guard let sum, let most = each.atMost else { return nil }
      return sum.addingSaturated(most)
    }
  }
}

extension UInt64 {
  mutating func addSaturated(_ other: UInt64) { self = addingSaturated(other) }
  func subtractingSaturated(_ other: UInt64) -> UInt64 { self > other ? self - other : 0 }
}
