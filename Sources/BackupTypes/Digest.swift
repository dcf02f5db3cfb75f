/// A SHA-256 value, or a keyed one of the same size (HMAC-SHA-256) in an encrypted repository.
package struct Digest: Hashable, Sendable {
  package static let byteCount = 32
  /// Always `byteCount` bytes.
  package let bytes: [UInt8]

  package init?(bytes: [UInt8]) {
    guard bytes.count == Digest.byteCount else { return nil }
    self.bytes = bytes
  }

  package var hexadecimal: String { BackupTypes.hexadecimal(bytes) }
  /// The form that is used in names: the first 16 bytes.
  package var short: ShortDigest { ShortDigest(bytes: Array(bytes.prefix(ShortDigest.byteCount)))! }
}

extension Digest: CustomStringConvertible {
  package var description: String { hexadecimal }
}

extension Digest: Codable {
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let bytes = BackupTypes.bytes(hexadecimal: text), let value = Digest(bytes: bytes) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a digest")
    }
    self = value
  }
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(hexadecimal)
  }
}

/// The first 16 bytes of a `Digest`, as in names. 128 bits distinguish any two contents of one repository.
/// The full digest, which is verified, is in the record or frame. This is two words and not an array, because
/// a catalogue has one of these for every object.
package struct ShortDigest: Hashable, Sendable {
  package static let byteCount = 16
  private let high: UInt64
  private let low: UInt64

  package init?(bytes: [UInt8]) {
    guard bytes.count == ShortDigest.byteCount else { return nil }
    high = bytes[0..<8].reduce(0) { $0 << 8 | UInt64($1) }
    low = bytes[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
  }
  package init?(hexadecimal text: some StringProtocol) {
    var text = String(text)
    let read = text.withUTF8 { ShortDigest(hexadecimal: UnsafeRawBufferPointer($0)) }
    guard let digest = read else { return nil }
    self = digest
  }
  /// - Parameter text: the digits as ASCII bytes, in place, since a listing can have millions of names.
  package init?(hexadecimal text: UnsafeRawBufferPointer) {
    guard text.count == 2 * ShortDigest.byteCount, let high = word(hexadecimal: text, 0..<16),
      let low = word(hexadecimal: text, 16..<32)
    else { return nil }
    self.high = high
    self.low = low
  }
  package var bytes: [UInt8] {
    [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
  }
  package var hexadecimal: String { BackupTypes.hexadecimal(bytes) }
}

extension ShortDigest: CustomStringConvertible {
  package var description: String { hexadecimal }
}
