import BackupTypes
import Codec
import Testing

@Suite struct HMACSHA256Tests {
  // RFC 4231, 4.2 to 4.8 (4.6 is about truncation).
  @Test func knownVectors() {
    let cases: [(key: [UInt8], data: [UInt8], code: String)] = [
      (
        .init(repeating: 0x0b, count: 20), Array("Hi There".utf8),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
      ),
      (
        Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
      ),
      (
        .init(repeating: 0xaa, count: 20), .init(repeating: 0xdd, count: 50),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
      ),
      (
        .init(repeating: 0xaa, count: 131),
        Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
      ),
    ]
    for (key, data, code) in cases {
      #expect(hmacSHA256(key: key, data).hexadecimal == code)
      for split in 0...data.count {
        #expect(
          hmacSHA256(key: key, Array(data[..<split]), Array(data[split...])).hexadecimal == code)
      }
      #expect(data.withUnsafeBytes { hmacSHA256(key: key, $0) }.hexadecimal == code)
    }
  }

  @Test func aKeyedCodeCanBeCopiedForEachMessage() {
    let keyed = HMACSHA256(key: [1, 2, 3])
    for message: [UInt8] in [[], [9], [8, 7]] {
      var code = keyed
      code.update(message)
      #expect(code.finalize() == hmacSHA256(key: [1, 2, 3], message))
    }
  }

  // RFC 5869, A.1 to A.3.
  @Test func knownDerivations() {
    let ikm = [UInt8](repeating: 0x0b, count: 22)
    #expect(
      HKDF.derive(
        secret: ikm, salt: TestBytes.hex("000102030405060708090a0b0c"),
        info: TestBytes.hex("f0f1f2f3f4f5f6f7f8f9"), count: 42)
        == TestBytes.hex(
          "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"))
    #expect(
      HKDF.derive(
        secret: Array(0x00...0x4f), salt: Array(0x60...0xaf), info: Array(0xb0...0xff), count: 82)
        == TestBytes.hex(
          "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
            + "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
            + "cc30c58179ec3e87c14c01d5c1f3434f1d87"))
    #expect(
      HKDF.derive(secret: ikm, salt: [], info: [], count: 42)
        == TestBytes.hex(
          "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"))
    #expect(HKDF.derive(secret: ikm, salt: [], info: []).count == 32)
    #expect(HKDF.derive(secret: ikm, salt: [], info: [], count: 0).isEmpty)
    #expect(HKDF.derive(secret: ikm, salt: [], info: [], count: HKDF.byteCountMax).count == 8160)
  }
}
