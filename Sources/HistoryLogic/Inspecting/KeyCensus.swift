package import RedisFormats

/// The largest keys of a full copy, and the groups of keys with the most bytes.
package struct KeyCensus: Sendable {
  /// How many of each are reported.
  package static let shownMax = 10
  /// A delimiter after this many bytes of the name is ignored.
  private static let prefixBytesMax = 128

  package struct Prefix: Sendable, Equatable {
    /// Empty: keys without a prefix.
    package var prefix: [UInt8]
    package var keys: UInt64
    package var elements: UInt64
    /// Encoded bytes of the values.
    package var bytes: UInt64
  }

  private var greatest = Greatest<RDBKeyFacts>(countMax: KeyCensus.shownMax)
  private var counts = PrefixCounts()
  package private(set) var keys: UInt64 = 0

  package init() {}

  /// The largest first.
  package var largest: [RDBKeyFacts] {
    greatest.values.sorted {
      $0.bytes != $1.bytes ? $0.bytes > $1.bytes : $0.name.lexicographicallyPrecedes($1.name)
    }
  }
  /// Those with the most bytes first.
  package var prefixes: [Prefix] {
    counts.greatest(KeyCensus.shownMax).map {
      Prefix(prefix: $0.prefix, keys: $0.keys, elements: $0.elements, bytes: $0.bytes)
    }
  }
  /// By how many bytes each of `prefixes` may be too low. No other prefix has more bytes than this. 0 if they
  /// are exact.
  package var prefixError: UInt64 { counts.error }

  package mutating func add(_ key: RDBKeyFacts) {
    keys += 1
    greatest.offer(key.bytes, key)
    counts.add(KeyCensus.prefix(of: key.name), elements: key.elements, bytes: key.bytes)
  }

  /// The prefix ends with the first delimiter: `user:` for `user:17`, `RAYmy-cluster@` for
  /// `RAYmy-cluster@KV`.
  static func prefix(of name: [UInt8]) -> [UInt8] {
    let end = name.prefix(prefixBytesMax).firstIndex { byte in
      switch byte {
      case UInt8(ascii: ":"), UInt8(ascii: "@"), UInt8(ascii: "/"), UInt8(ascii: "."),
        UInt8(ascii: "|"):
        true
      default: false
      }
    }
    return end.map { Array(name[...$0]) } ?? []
  }
}
