/// The number of a timeline: 1 is the first of a repository.
package struct TimelineNumber: Hashable, Comparable, Sendable, Codable {
  package static let digits = 8
  package let value: Int
  package init?(_ value: Int) {
    guard value >= 1, value <= 99_999_999 else { return nil }
    self.value = value
  }
  package static let first = TimelineNumber(1)!
  package var next: TimelineNumber? { TimelineNumber(value + 1) }
  package var previous: TimelineNumber? { TimelineNumber(value - 1) }
  package static func < (a: TimelineNumber, b: TimelineNumber) -> Bool { a.value < b.value }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let number = TimelineNumber(try container.decode(Int.self)) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "not the number of a timeline")
    }
    self = number
  }
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(value)
  }
}

extension TimelineNumber: CustomStringConvertible {
  package var description: String { String(value) }
}

/// A random number that a process chose for its claim. It is in everything written under that claim, so that
/// a record of another writer is recognised.
package struct Nonce: Hashable, Sendable, Codable {
  package static let byteCount = 16
  package let hexadecimal: String

  package init?(hexadecimal: some StringProtocol) {
    guard let bytes = bytes(hexadecimal: hexadecimal), bytes.count == Nonce.byteCount else {
      return nil
    }
    self.hexadecimal = String(hexadecimal)
  }
  package init?(bytes: [UInt8]) {
    guard bytes.count == Nonce.byteCount else { return nil }
    hexadecimal = BackupTypes.hexadecimal(bytes)
  }
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let nonce = Nonce(hexadecimal: try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a nonce")
    }
    self = nonce
  }
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(hexadecimal)
  }
}

extension Nonce: CustomStringConvertible {
  package var description: String { hexadecimal }
}
