import BackupTypes

/// Bytes from a seed (SplitMix64). `text` can be compressed, `random` can't.
enum TestBytes {
  static func random(_ count: Int, seed: UInt64) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: next(&state)) }
  }

  static func text(_ count: Int, seed: UInt64) -> [UInt8] {
    var state = seed
    let words = ["SET", "key:", "\r\n", "$12", "HSET", "value", "*3", "expires"].map {
      Array($0.utf8)
    }
    var result: [UInt8] = []
    result.reserveCapacity(count + 8)
    while result.count < count { result += words[Int(next(&state) % 8)] }
    return Array(result.prefix(count))
  }

  static func next(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  static func hex(_ text: String) -> [UInt8] { bytes(hexadecimal: text)! }
}
