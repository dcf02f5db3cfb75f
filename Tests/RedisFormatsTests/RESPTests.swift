import RedisFormats
import Testing

@Suite struct RESPTests {
  private static let nested = RESPReply.array([
    .status("OK"), .error("ERR no"), .integer(-7), .bulk([13, 10, 0]), .bulk([]), .null,
    .array([]), .array([.bulk(Array("slave".utf8)), .integer(.max)]),
  ])

  private func replies(_ text: String, bytesMax: Int = 100) throws -> [RESPReply] {
    var reader = RESPReplyReader(bytesMax: bytesMax)
    reader.append(text.utf8)
    var all: [RESPReply] = []
    while let reply = try reader.next() { all.append(reply) }
    return all
  }

  /// Two replies with line feeds between them and bytes of a stream after them, cut at every two places.
  @Test func aReplyIsReadInAnyPortions() throws {
    let whole =
      [10, 10] + Self.nested.encoded + [10] + RESPReply.status("CONTINUE abc").encoded
    let bytes = whole + [0xff, 10, 0x2a]
    for first in 0...whole.count {
      for second in first...whole.count {
        var reader = RESPReplyReader(bytesMax: 1000)
        var got: [RESPReply] = []
        for portion in [bytes[..<first], bytes[first..<second], bytes[second...]] {
          reader.append(portion)
          // The bytes after the second reply are not a reply.
          while got.count < 2, let reply = try reader.next() { got.append(reply) }
        }
        #expect(got == [Self.nested, .status("CONTINUE abc")], "cut at \(first) and \(second)")
        #expect(reader.takeRest() == [0xff, 10, 0x2a])
        #expect(reader.takeRest() == [])
      }
    }
  }

  @Test func whatIsMissingIsNull() throws {
    #expect(try replies("$-1\r\n*-1\r\n") == [.null, .null])
    #expect(RESPReply.bulk([65]).text == "A" && RESPReply.status("b").text == "b")
    #expect(RESPReply.error("x").text == nil && RESPReply.null.elements == nil)
    #expect(RESPReply.error("a\r\nb").encoded == Array("-a  b\r\n".utf8))
  }

  @Test(arguments: [
    "+OK\n", "!x\r\n", "\r\n", ":x\r\n", ":\r\n", "$x\r\n", "$1\r\nabc\r\n", "*z\r\n",
    "*1\r\n!\r\n", "HTTP/1.1 400 Bad Request\r\n",
    String(repeating: "*1\r\n", count: 9),
  ])
  func whatIsNoReplyIsAFault(text: String) {
    do {
      let got = try replies(text)
      Issue.record("\(text) was taken: \(got)")
    } catch let fault as RESPReplyReader.Fault {
      if fault == .tooLong { Issue.record("\(text) was too long") }
    } catch {
      Issue.record("\(error)")
    }
  }

  /// A reply that announces a large length, one that is too long, and one with too many elements.
  @Test(arguments: [
    "$9223372036854775807\r\n", "$2000000000\r\n", "+" + String(repeating: "a", count: 101),
    "$95\r\n" + String(repeating: "a", count: 95) + "\r\n",
    "*9223372036854775807\r\n" + String(repeating: ":1\r\n", count: 20),
  ])
  func aReplyIsBounded(text: String) {
    #expect(throws: RESPReplyReader.Fault.tooLong) { try replies(text) }
  }

  // MARK: Requests

  private func requests(_ bytes: [UInt8], bytesMax: Int = 100) throws -> [[String]] {
    var reader = RESPRequestReader(bytesMax: bytesMax)
    reader.append(bytes)
    var all: [[String]] = []
    while let command = try reader.next() {
      all.append(command.map { String(decoding: $0, as: UTF8.self) })
    }
    return all
  }

  @Test func commandsAreReadInBothForms() throws {
    let array = encodedCommand([Array("REPLCONF".utf8), Array("ip-address".utf8), []])
    let text =
      Array("\r\nPING\r\n*0\r\nSYNC\n*-1\r\n".utf8) + array + Array("SET a \"b c\"\r\nPI".utf8)
    let all = [["PING"], ["SYNC"], ["REPLCONF", "ip-address", ""], ["SET", "a", "b c"]]
    #expect(try requests(text) == all)
    for cut in 0...text.count {
      var reader = RESPRequestReader(bytesMax: 100)
      var got: [[String]] = []
      for portion in [text[..<cut], text[cut...]] {
        reader.append(portion)
        while let command = try reader.next() {
          got.append(command.map { String(decoding: $0, as: UTF8.self) })
        }
      }
      #expect(got == all, "cut at \(cut)")
    }
  }

  @Test(arguments: [
    "*1\r\n:1\r\n", "*1\r\n$-1\r\n", "*x\r\n", "*1\n$4\r\nPING\r\n", "*1\r\n$4\r\nPINGG\r\n",
    "SET \"a\r\n", "*1\r\n$x\r\n",
  ])
  func whatIsNoCommandIsAFault(text: String) {
    #expect(throws: RESPRequestReader.Fault.malformed) { try requests(Array(text.utf8)) }
  }

  @Test(arguments: [
    String(repeating: "a", count: 101), "*100000\r\n", "*2\r\n$101\r\n",
    "*1\r\n$95\r\n" + String(repeating: "a", count: 95) + "\r\n",
    "*17\r\n" + String(repeating: "$1\r\na\r\n", count: 17),
  ])
  func aCommandIsBounded(text: String) {
    #expect(throws: RESPRequestReader.Fault.tooLong) { try requests(Array(text.utf8)) }
  }
}
