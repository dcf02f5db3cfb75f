/// The host and port of a replication link: `db.example:6379`, `[::1]:6379`.
package struct LinkAddress: Sendable, Hashable, CustomStringConvertible {
  /// A name or a numeric address, without brackets.
  package let host: String
  package let port: Int

  /// nil if `host` is neither a name nor an address, or `port` is not in 1...65535.
  package init?(host: String, port: Int) {
    guard LinkAddress.isHost(host), (1...65535).contains(port) else { return nil }
    self.host = host
    self.port = port
  }

  package var description: String { isBracketed ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// Whether this is an IPv6 address, which needs brackets before a port.
  package var isBracketed: Bool { host.utf8.contains(UInt8(ascii: ":")) }

  private static func isHost(_ text: String) -> Bool {
    guard !text.isEmpty, text.utf8.count <= 255 else { return false }
    if text.utf8.contains(UInt8(ascii: ":")) {
      return text.allSatisfy { $0.isASCII && ($0.isHexDigit || $0 == ":" || $0 == ".") }
    }
    // Names of containers and of some zones contain underscores.
    return text.allSatisfy {
      $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "." || $0 == "_")
    }
  }
}
