/// The head of a string that the walk wants to look at.
struct RDBCapture: Sendable {
  /// At most `limit` bytes, decompressed.
  private(set) var head: [UInt8] = []
  private var limit = 0
  /// The name of an auxiliary field, until its value is there.
  var auxiliaryName: [UInt8] = []

  var isWanted: Bool { limit > 0 }
  /// More of the string is to be kept.
  var isHungry: Bool { head.count < limit }

  /// Keeps up to `limit` bytes of the string that follows.
  mutating func begin(limit: Int) {
    head.removeAll(keepingCapacity: true)
    self.limit = limit
  }

  /// The next bytes of the string, decompressed.
  mutating func take(_ bytes: UnsafeRawBufferPointer) {
    if isHungry { head.append(contentsOf: bytes.prefix(limit &- head.count)) }
  }
}
