import BackupTypes
import Testing

@testable import ReplicationLink

/// Extracts a full copy from what a primary sends.
struct CopyTransferTests {
  private static let mark = String(repeating: "0123456789abcdef", count: 3).prefix(40)

  private static func read(_ bytes: [UInt8], chunk: Int) throws -> (
    content: [UInt8], rest: [UInt8]?, isDiskless: Bool
  ) {
    var transfer = CopyTransfer()
    var (content, rest): ([UInt8], [UInt8]?) = ([], nil)
    var left = bytes[...]
    while !left.isEmpty {
      let part = left.prefix(chunk)
      left = left.dropFirst(chunk)
      if rest != nil {
        rest! += part
        continue
      }
      for part in try transfer.consume(part) {
        switch part {
        case .content(let bytes): content += bytes
        case .end(let after): rest = after
        }
      }
    }
    return (content, rest, transfer.isDiskless)
  }

  @Test(arguments: [1, 2, 39, 40, 41, 100, 10_000])
  func aCopyOfAKnownLength(chunk: Int) throws {
    let copy = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
    let bytes = Array("\n\n$1000\r\n".utf8) + copy + Array("*1\r\n".utf8)
    let found = try Self.read(bytes, chunk: chunk)
    #expect(found.content == copy && !found.isDiskless)
    #expect(found.rest == Array("*1\r\n".utf8))
  }

  /// A server that has received an acknowledgement starts its stream right after the mark.
  @Test(arguments: [1, 2, 39, 40, 41, 100, 10_000], ["", "*1\r\n$4\r\nPING\r\n"])
  func aCopyWithAMark(chunk: Int, after: String) throws {
    // The copy contains prefixes of the mark.
    let copy = Array("REDIS\(Self.mark.prefix(39))0012\(Self.mark.prefix(20))".utf8)
    let bytes = Array("\n$EOF:\(Self.mark)\r\n".utf8) + copy + Array("\(Self.mark)\(after)".utf8)
    let found = try Self.read(bytes, chunk: chunk)
    #expect(found.content == copy && found.isDiskless)
    #expect(found.rest == Array(after.utf8))
  }

  @Test func anythingElseIsRefused() {
    for text in ["$EOF:short\r\n", "-ERR no\r\n", "$x\r\n", String(repeating: "x", count: 200)] {
      #expect(throws: LifeboatError.self, "\(text)") {
        _ = try Self.read(Array(text.utf8), chunk: 10)
      }
    }
  }
}
