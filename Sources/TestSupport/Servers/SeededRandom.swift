/// SplitMix64: the same seed always gives the same numbers.
///
/// Every test that uses random numbers prints its seed and accepts one.
package struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// `count` random bytes. They are made eight at a time, since tests run unoptimised.
  package mutating func bytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      let raw = UnsafeMutableRawBufferPointer(buffer)
      var offset = 0
      while offset < count {
        withUnsafeBytes(of: next()) { word in
          let length = min(8, count - offset)
          raw[offset..<offset + length].copyBytes(from: word.prefix(length))
        }
        offset += 8
      }
      filled = count
    }
  }
}
