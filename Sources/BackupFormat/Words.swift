/// A word of a record that only informs, such as why a snapshot was cut. A newer release may write words that
/// this one does not know. They do not affect any result, so they are kept unchanged and shown as unknown.
package protocol InformingWord: RawRepresentable, Hashable, Sendable, Codable
where RawValue == String {
  static var known: Set<Self> { get }
}

extension InformingWord {
  /// The word to show to people and in JSON.
  package var shown: String { Self.known.contains(self) ? rawValue : "unknown" }
}

/// A word of a record that affects results, such as the file that a server loads. A record with an unknown
/// word was made by a newer release. It must not be skipped, and is not damaged.
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
