/// Why the bytes of a file from `offset` on are not accepted. `reason` is a phrase for an operator, without a
/// full stop.
package struct FileFault: Error, Sendable, Equatable, Codable {
  /// The offset in bytes from the start of the RDB or append-only file.
  package var offset: UInt64
  package var reason: String

  package init(offset: UInt64, reason: String) {
    self.offset = offset
    self.reason = reason
  }
}
