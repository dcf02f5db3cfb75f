/// The head of a string that the walk wants to look at.
struct RDBCapture: Sendable {
  /// At most `limit` bytes, decompressed.
  private(set) var head: [UInt8] = []
  private var limit = 0
  private var lzf: LZFHead?
  /// The name of an auxiliary field, until its value is there.
  var auxiliaryName: [UInt8] = []

  var isWanted: Bool { limit > 0 }
  var isBroken: Bool { lzf?.isBroken ?? false }

  /// Keeps up to `limit` bytes of the string that follows.
  mutating func begin(limit: Int, isCompressed: Bool) {
    head.removeAll(keepingCapacity: true)
    self.limit = limit
    lzf = isCompressed ? LZFHead() : nil
  }

  mutating func take(_ bytes: UnsafeRawBufferPointer) {
    guard head.count < limit else { return }
    if lzf != nil {
      lzf?.decompress(bytes, into: &head, limit: limit)
    } else {
      head.append(contentsOf: bytes.prefix(limit &- head.count))
    }
  }

  /// A string that is encoded as an integer stands for its decimal text.
  mutating func take(integer: Int64) {
    if limit > 0 { head = Array(String(integer).utf8) }
  }
}
