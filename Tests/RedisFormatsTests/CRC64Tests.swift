import RedisFormats
import Testing

struct CRC64Tests {
  @Test func hasTheCheckValueOfJones() {
    var crc = CRC64()
    bytes("123456789").withUnsafeBytes { crc.update($0) }
    #expect(crc.value == 0xe9c6_d914_c4b8_d9ca)
  }

  @Test func doesNotDependOnThePieces() {
    let input = (0..<100).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
    var bitwise: UInt64 = 0
    for byte in input {
      bitwise ^= UInt64(byte)
      for _ in 0..<8 {
        bitwise = bitwise & 1 == 1 ? (bitwise >> 1) ^ 0x95ac_9329_ac4b_c9b5 : bitwise >> 1
      }
    }
    for first in 0...input.count {
      for second in first...input.count {
        var crc = CRC64()
        for piece in pieces(input, cutAt: [first, second]) {
          piece.withUnsafeBytes { crc.update($0) }
        }
        #expect(crc.value == bitwise, "cut at \(first) and \(second)")
      }
    }
  }

  @Test func ofNothingIsZero() {
    var crc = CRC64()
    crc.update(UnsafeRawBufferPointer(start: nil, count: 0))
    #expect(crc.value == 0)
  }
}
