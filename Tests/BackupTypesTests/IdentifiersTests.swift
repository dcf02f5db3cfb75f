import BackupTypes
import Testing

@Suite struct IdentifiersTests {
  @Test("timelines count from 1 within eight digits")
  func timelines() {
    #expect(TimelineNumber(0) == nil)
    #expect(TimelineNumber(-1) == nil)
    #expect(TimelineNumber(100_000_000) == nil)
    #expect(TimelineNumber(99_999_999)?.next == nil)
    #expect(TimelineNumber.first.previous == nil)
    #expect(TimelineNumber.first.next == TimelineNumber(2))
  }

  @Test("digests and nonces have one size and one spelling")
  func sizes() throws {
    #expect(Digest(bytes: [1]) == nil)
    #expect(ShortDigest(bytes: [1]) == nil)
    #expect(Nonce(bytes: [1]) == nil)
    let bytes = (0..<32).map { UInt8($0 * 8) }
    let digest = try #require(Digest(bytes: bytes))
    #expect(digest.short.bytes == Array(bytes.prefix(16)))
    #expect(ShortDigest(hexadecimal: digest.short.hexadecimal) == digest.short)
    #expect(ShortDigest(hexadecimal: String(repeating: "AB", count: 16)) == nil)
    #expect(Nonce(hexadecimal: String(repeating: "A", count: 32)) == nil)
    #expect(Nonce(hexadecimal: String(repeating: "a", count: 32)) != nil)
    #expect(Nonce(hexadecimal: String(repeating: "a", count: 30)) == nil)
  }
}
