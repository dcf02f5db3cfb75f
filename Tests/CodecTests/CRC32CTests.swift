import Codec
import Testing

@Suite struct CRC32CTests {
  /// RFC 3720, B.4, and the check value of the catalogue of CRCs.
  @Test func `published values`() {
    #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xe306_9283)
    #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
    #expect(CRC32C.checksum([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
    #expect(CRC32C.checksum((0..<32).map { UInt8($0) }) == 0x46dd_794e)
    #expect(CRC32C.checksum([]) == 0)
  }

  @Test func `any length and any place is as byte by byte`() {
    func slow(_ bytes: ArraySlice<UInt8>) -> UInt32 {
      ~bytes.reduce(UInt32.max) { sum, byte in
        (0..<8).reduce(sum ^ UInt32(byte)) { sum, _ in
          sum & 1 == 1 ? sum >> 1 ^ 0x82f6_3b78 : sum >> 1
        }
      }
    }
    let bytes = (0..<200).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 13) }
    for start in 0..<9 {
      for end in start..<60 {
        let part = bytes[start..<end]
        bytes.withUnsafeBytes {
          let sum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[start..<end]))
          #expect(sum == slow(part), "\(start)..<\(end)")
        }
      }
    }
  }
}
