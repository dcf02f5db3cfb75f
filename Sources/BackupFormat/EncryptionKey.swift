package import BackupTypes
import Codec

/// The key that a person keeps and that opens an encrypted repository: 32 random bytes.
///
/// Its text form is `lifeboat-key-1-`, 64 hexadecimal digits, `-`, and 8 more, which are the first four bytes
/// of the SHA-256 of everything before the last hyphen. A typing error, or an incomplete copy, is therefore
/// detected from the text alone, and is never taken for another repository's key.
package struct EncryptionKey: Sendable, Hashable {
  package static let byteCount = 32
  private static let family = "lifeboat-key-"
  private static let prefix = family + "1-"
  private static let checksumBytes = 4
  private static let textCount = prefix.utf8.count + 2 * byteCount + 1 + 2 * checksumBytes

  /// For wrapping a repository's key.
  package let bytes: [UInt8]

  /// - Parameter bytes: 32 new random bytes from the kernel.
  package init(bytes: [UInt8]) {
    precondition(bytes.count == EncryptionKey.byteCount, "a key of \(bytes.count) bytes")
    self.bytes = bytes
  }

  /// The key in `text`, with or without white space around it.
  ///
  /// - Parameter origin: where the text is from. The text itself is never part of an error.
  /// - Throws: `.wrongKey` if the text is empty, `.usage` if it is not a key, `.versionMismatch` if a newer
  ///   release made it.
  package init(parsing text: [UInt8], origin: String) throws(LifeboatError) {
    let trimmed = Array(text.trimmingWhiteSpace)
    guard !trimmed.isEmpty else {
      throw LifeboatError(
        .wrongKey, "\(origin) is empty", cause: "a key is expected there",
        hint: "put the repository's key there; `lifeboat keygen` creates one for a new repository")
    }
    func refusal(_ cause: String) -> LifeboatError {
      LifeboatError(
        .usage, "\(origin) does not contain a key", cause: cause,
        hint: "copy the whole line that `lifeboat keygen` printed, and nothing else")
    }
    guard trimmed.starts(with: EncryptionKey.prefix.utf8) else {
      let number = trimmed.dropFirst(EncryptionKey.family.utf8.count).prefix { $0 != 0x2d }
      if trimmed.starts(with: EncryptionKey.family.utf8), !number.isEmpty, number.count < 4,
        number.allSatisfy({ (0x30...0x39).contains($0) })
      {
        throw LifeboatError(
          .versionMismatch, "\(origin) contains a key of another version",
          cause: "this release supports keys that begin with \(EncryptionKey.prefix)",
          hint: "use the release of Lifeboat that created the key, or a newer one")
      }
      throw refusal("it does not begin with \(EncryptionKey.prefix)")
    }
    guard trimmed.count == EncryptionKey.textCount else {
      throw refusal(
        "it has \(counted(trimmed.count, "character")), and a key has \(EncryptionKey.textCount)")
    }
    let digits = trimmed.dropFirst(EncryptionKey.prefix.utf8.count)
      .prefix(2 * EncryptionKey.byteCount)
    guard
      let bytes = BackupTypes.bytes(hexadecimal: String(decoding: digits, as: UTF8.self)),
      bytes.count == EncryptionKey.byteCount,
      Array(EncryptionKey(bytes: bytes).reveal().utf8) == trimmed
    else { throw refusal("its checksum does not match: probably a typing error") }
    self.init(bytes: bytes)
  }

  /// The key itself, for printing or storing it.
  package func reveal() -> String {
    let body = EncryptionKey.prefix + hexadecimal(bytes)
    let checksum = SHA256Hasher.digest(of: Array(body.utf8)).bytes
    return body + "-" + hexadecimal(checksum.prefix(EncryptionKey.checksumBytes))
  }

  /// Whether `text`, given in place of a file name, looks like a key, even a misspelled one. If so, it must
  /// not be shown.
  package static func isLikely(_ text: String) -> Bool {
    text.utf8.starts(with: prefix.utf8) && text.utf8.count > textCount / 2
  }
}

extension EncryptionKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Never the key.
  package var description: String { "EncryptionKey(redacted)" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension [UInt8] {
  fileprivate var trimmingWhiteSpace: ArraySlice<UInt8> {
    func isWhiteSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
    guard let first = firstIndex(where: { !isWhiteSpace($0) }),
      let last = lastIndex(where: { !isWhiteSpace($0) })
    else { return [] }
    return self[first...last]
  }
}
