import BackupTypes
import Codec
import Testing

@Suite struct SHA256HasherTests {
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func knownVectors(_ text: String, _ expected: String) {
    #expect(SHA256Hasher.digest(of: Array(text.utf8)).hexadecimal == expected)
  }

  @Test func aMillionLetters() {
    var hasher = SHA256Hasher()
    for _ in 0..<1000 { hasher.update([UInt8](repeating: UInt8(ascii: "a"), count: 1000)) }
    #expect(
      hasher.finalize().hexadecimal
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test func everySplitGivesTheSameDigest() {
    let bytes = TestBytes.random(200, seed: 1)
    let whole = SHA256Hasher.digest(of: bytes)
    for split in 0...bytes.count {
      var hasher = SHA256Hasher()
      hasher.update(Array(bytes[..<split]))
      hasher.update(Array(bytes[split...]))
      #expect(hasher.finalize() == whole)
    }
  }

  @Test func aCopyGoesOnAlone() {
    var one = SHA256Hasher()
    one.update([1])
    var other = one
    other.update([2])
    one.update([3])
    #expect(one.finalize() == SHA256Hasher.digest(of: [1, 3]))
    #expect(other.finalize() == SHA256Hasher.digest(of: [1, 2]))
    one.update([4])
    #expect(one.finalize() == SHA256Hasher.digest(of: [1, 3, 4]))
  }
}
