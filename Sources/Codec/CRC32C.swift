/// CRC-32C (Castagnoli; RFC 9260, appendix A), which Google Cloud Storage stores for every object.
package enum CRC32C {
  /// Eight bytes per step: `tables[k][b]` is the sum of the byte `b` followed by `k` zeros.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var sum = UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0x82f6_3b78 : sum >> 1 }
      tables[byte] = sum
    }
    for index in 256..<tables.count {
      let sum = tables[index - 256]
      tables[index] = sum >> 8 ^ tables[Int(sum & 0xff)]
    }
    return tables
  }()

  package static func checksum(_ bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { checksum($0) }
  }

  package static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    tables.withUnsafeBufferPointer { tables in
      var sum: UInt32 = 0xffff_ffff
      var offset = 0
      while bytes.count - offset >= 8 {
        let word = UInt64(
          littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        let low = UInt32(truncatingIfNeeded: word) ^ sum
        let high = UInt32(truncatingIfNeeded: word >> 32)
        sum =
          tables[1792 + Int(low & 0xff)] ^ tables[1536 + Int(low >> 8 & 0xff)]
          ^ tables[1280 + Int(low >> 16 & 0xff)] ^ tables[1024 + Int(low >> 24)]
        sum ^=
          tables[768 + Int(high & 0xff)] ^ tables[512 + Int(high >> 8 & 0xff)]
          ^ tables[256 + Int(high >> 16 & 0xff)] ^ tables[Int(high >> 24)]
        offset += 8
      }
      while offset < bytes.count {
        sum = sum >> 8 ^ tables[Int((sum ^ UInt32(bytes[offset])) & 0xff)]
        offset += 1
      }
      return ~sum
    }
  }
}
