import BackupTypes
import Testing

@testable import ReplicationLink

/// The server's answer to PSYNC.
@Suite struct LinkWireTests {
  private let id = String(repeating: "a", count: 40)

  private func offset(_ text: String) throws -> UInt64? {
    let address = try #require(LinkAddress(host: "redis", port: 6379))
    let answer = try LinkWire.parse(
      Array("+FULLRESYNC \(id) \(text)\r\n".utf8), from: address)
    guard case .full(_, let offset) = answer else { return nil }
    return offset
  }

  @Test func `an offset that no server has is refused`() throws {
    #expect(try offset("0") == 0)
    #expect(try offset("\(1 << 62)") == 1 << 62)
    for text in [
      "\((1 << 62) + 1)", "9223372036854775807", "18446744073709551615", "18446744073709551616",
      "-1",
      "",
    ] {
      #expect(throws: (any Error).self, "\(text)") { try offset(text) }
    }
  }
}
