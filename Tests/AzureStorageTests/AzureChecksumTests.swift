import CloudAuth
import Testing

@testable import AzureStorage

@Suite struct AzureChecksumTests {
  /// The values that Azure's own replies had, as recorded in the tests of Microsoft's JavaScript library.
  @Test func `the checksums of the real service`() {
    let hello = Array("Hello World".utf8)
    let usual = AzureChecksum(hello, md5: contentMD5)
    #expect(usual.header == "Content-MD5" && usual.value == "sQqNsWTgdUEFt6mb5y4/5Q==")
    let other = AzureChecksum(hello, md5: { _ in "" })
    #expect(other.header == "x-ms-content-crc64" && other.value == "YeJLfssylmU=")
    let page = [UInt8](repeating: UInt8(ascii: "a"), count: 512)
    #expect(AzureChecksum(page, md5: { _ in "" }).value == "u661BimQ84c=")
  }

  @Test func `the check value, and nothing`() {
    #expect(AzureChecksum.crc64(Array("123456789".utf8)) == 0xae8b_1486_0a79_9888)
    #expect(AzureChecksum.crc64([]) == 0)
  }
}
