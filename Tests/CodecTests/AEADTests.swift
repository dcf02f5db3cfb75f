import BackupTypes
import Codec
import Testing

@Suite struct AEADTests {
  // McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13, 14 and 16.
  @Test func knownVectors() throws {
    let zero = [UInt8](repeating: 0, count: 32)
    let none = [UInt8](repeating: 0, count: 12)
    #expect(
      try AEAD.seal([] as [UInt8], key: zero, nonce: none, associatedData: [])
        == TestBytes.hex("530f8afbc74536b9a963b4f1c4cb738b"))
    #expect(
      try AEAD.seal([UInt8](repeating: 0, count: 16), key: zero, nonce: none, associatedData: [])
        == TestBytes.hex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"))
    let plaintext = TestBytes.hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39")
    let sealed = try AEAD.seal(
      plaintext,
      key: TestBytes.hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
      nonce: TestBytes.hex("cafebabefacedbaddecaf888"),
      associatedData: TestBytes.hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"))
    #expect(
      sealed
        == TestBytes.hex(
          "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
            + "76fc6ece0f4e1768cddf8853bb2d551b"))
  }

  @Test func whatIsSealedOpens() throws {
    let (key, nonce) = (TestBytes.random(32, seed: 1), TestBytes.random(12, seed: 2))
    for size in [0, 1, 15, 16, 17, 4096, (4 << 20) + 3] {
      let plaintext = TestBytes.random(size, seed: 3)
      let sealed = try AEAD.seal(plaintext, key: key, nonce: nonce, associatedData: [1, 2])
      #expect(sealed.count == size + AEAD.tagByteCount)
      #expect(try AEAD.open(sealed, key: key, nonce: nonce, associatedData: [1, 2]) == plaintext)
    }
  }

  @Test func sealedWhereItStandsIsTheSame() throws {
    let (key, nonce) = (TestBytes.random(32, seed: 1), TestBytes.random(12, seed: 2))
    for (start, size) in [(0, 0), (0, 1), (5, 0), (68, 17), (68, 4096), (68, (4 << 20) + 3)] {
      let plaintext = TestBytes.random(size, seed: 3)
      let head = TestBytes.random(start, seed: 4)
      var message = head + plaintext
      try AEAD.seal(&message, from: start, key: key, nonce: nonce, associatedData: head)
      let sealed = try AEAD.seal(plaintext, key: key, nonce: nonce, associatedData: head)
      #expect(message == head + sealed)
    }
  }

  @Test func anyChangeFailsAuthentication() throws {
    let (key, nonce) = (TestBytes.random(32, seed: 1), TestBytes.random(12, seed: 2))
    let sealed = try AEAD.seal([1, 2, 3, 4], key: key, nonce: nonce, associatedData: [5])
    func expectFailure(_ sealed: [UInt8], _ key: [UInt8], _ nonce: [UInt8], _ data: [UInt8]) {
      do {
        _ = try AEAD.open(sealed, key: key, nonce: nonce, associatedData: data)
        Issue.record("opened")
      } catch {
        #expect(error.code == .corrupt)
        #expect(error.message == "authentication failed")
      }
    }
    for bit in 0..<sealed.count * 8 {
      var changed = sealed
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      expectFailure(changed, key, nonce, [5])
    }
    for count in 0..<sealed.count { expectFailure(Array(sealed.prefix(count)), key, nonce, [5]) }
    expectFailure(sealed + [0], key, nonce, [5])
    expectFailure(sealed, TestBytes.random(32, seed: 9), nonce, [5])
    expectFailure(sealed, key, TestBytes.random(12, seed: 9), [5])
    expectFailure(sealed, key, nonce, [])
    expectFailure(sealed, key, nonce, [5, 0])
  }

  @Test func keysAndNoncesOfAnotherLengthAreErrors() {
    for (key, nonce) in [(31, 12), (33, 12), (0, 12), (32, 11), (32, 16), (32, 0)] {
      #expect(throws: LifeboatError.self) {
        try AEAD.seal(
          [1] as [UInt8], key: TestBytes.random(key, seed: 1),
          nonce: TestBytes.random(nonce, seed: 1), associatedData: [])
      }
    }
  }
}
