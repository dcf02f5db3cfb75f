/// The head of a string that the walk needs.
struct RDBCapture: Sendable {
  /// At most `limit` bytes, decompressed.
  private(set) var head: [UInt8] = []
  private var limit = 0
  /// The name of an auxiliary field, until its value is complete.
  var auxiliaryName: [UInt8] = []

  var isWanted: Bool { limit > 0 }
  /// Whether more of the string has to be kept.
  var isHungry: Bool { head.count < limit }

  /// Keeps up to `limit` bytes of the next string.
  mutating func begin(limit: Int) {
    head.removeAll(keepingCapacity: true)
    self.limit = limit
  }

  /// The next bytes of the string, decompressed.
  mutating func take(_ bytes: UnsafeRawBufferPointer) {
    if isHungry { head.append(contentsOf: bytes.prefix(limit &- head.count)) }
  }
}
