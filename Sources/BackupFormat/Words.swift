/// A word of a record that only informs, such as why a snapshot was cut. A newer release may write words that
/// this one does not know. They change no answer, so they are kept as they are, and shown as unknown.
package protocol InformingWord: RawRepresentable, Hashable, Sendable, Codable
where RawValue == String {
  static var known: Set<Self> { get }
}

extension InformingWord {
  /// The word for people and for JSON.
  package var shown: String { Self.known.contains(self) ? rawValue : "unknown" }
}

/// A word of a record on which the answer depends, such as the file that a server loads. A record with a word
/// that this release does not know was made by a newer one. It must not be passed over, and is not damaged.
package protocol DecidingWord: RawRepresentable, Sendable, Codable where RawValue == String {}

extension DecidingWord {
  package init(from decoder: any Decoder) throws {
    let word = try decoder.singleValueContainer().decode(String.self)
    guard let known = Self(rawValue: word) else {
      throw UnknownWord(field: decoder.codingPath.last?.stringValue ?? "", word: word)
    }
    self = known
  }
}

struct UnknownWord: Error {
  var field: String
  var word: String
}
