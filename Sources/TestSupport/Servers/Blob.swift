import Glibc

/// The bytes of a key or a value. They are fast to compare and hash, even in unoptimised builds, and are
/// ordered as unsigned bytes.
package struct Blob: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let bytes: [UInt8]

  package init(_ bytes: [UInt8]) { self.bytes = bytes }
  package init(_ text: String) { bytes = Array(text.utf8) }

  package static func == (a: Blob, b: Blob) -> Bool {
    a.bytes.count == b.bytes.count && a.order(b, a.bytes.count) == 0
  }

  package static func < (a: Blob, b: Blob) -> Bool {
    let order = a.order(b, min(a.bytes.count, b.bytes.count))
    return order == 0 ? a.bytes.count < b.bytes.count : order < 0
  }

  private func order(_ other: Blob, _ count: Int) -> Int32 {
    count == 0 ? 0 : memcmp(bytes, other.bytes, count)
  }

  package func hash(into hasher: inout Hasher) {
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
  }

  /// The first bytes as text. Unprintable bytes are escaped.
  package var description: String {
    var text = ""
    for byte in bytes.prefix(40) {
      if byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\\") {
        text.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        text += "\\x" + String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
      }
    }
    return bytes.count > 40 ? "'\(text)'… (\(bytes.count) bytes)" : "'\(text)'"
  }
}

extension Blob: RESPArgument {
  package var respBytes: [UInt8] { bytes }
}
