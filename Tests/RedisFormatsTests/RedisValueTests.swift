import RedisFormats
import Testing

@Suite struct RedisValueTests {
  private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test func `strings in each encoding`() {
    #expect(RDBValueReader.read([2, 104, 105], type: 0) == .string(bytes("hi")))
    #expect(RDBValueReader.read([0xc0, 0xff], type: 0) == .string(bytes("-1")))
    #expect(RDBValueReader.read([0xc1, 0x00, 0x80], type: 0) == .string(bytes("-32768")))
    #expect(RDBValueReader.read([0xc2, 1, 0, 0, 0], type: 0) == .string(bytes("1")))
    // LZF: one literal, then a copy of nine bytes from one byte back.
    #expect(
      RDBValueReader.read([0xc3, 5, 10, 0, 97, 0xe0, 0, 0], type: 0)
        == .string(bytes("aaaaaaaaaa")))
  }

  @Test func `a listpack of text and of integers of every width`() {
    // A header of six bytes, the entries, each followed by its length, and the end byte.
    var pack: [UInt8] = [0, 0, 0, 0, 0, 0]
    pack += [0x05, 1, 0x82, 97, 98, 3, 0xdf, 0xff, 2, 0xf1, 0, 0x80, 3, 0xf2, 0xff, 0xff, 0x7f, 4]
    pack += [0xf3, 1, 0, 0, 0x80, 5, 0xf4, 1, 0, 0, 0, 0, 0, 0, 0x80, 9, 0xff]
    #expect(
      RDBValueReader.read([UInt8(pack.count)] + pack, type: 20)
        == .set(
          Set(
            [
              "5", "ab", "-1", "-32768", "8388607", "-2147483647", "-9223372036854775807",
            ].map(bytes))))
  }

  @Test func `a ziplist, an intset and a quicklist`() {
    var zip: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    zip += [0, 2, 97, 98, 4, 0xf5, 2, 0xfe, 0xfb, 3, 0xc0, 0, 1, 0xff]
    #expect(
      RDBValueReader.read([UInt8(zip.count)] + zip, type: 10)
        == .list(["ab", "4", "-5", "256"].map(bytes)))
    #expect(
      RDBValueReader.read([12, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0xff, 0xff], type: 11)
        == .set([bytes("1"), bytes("-1")]))
    #expect(
      RDBValueReader.read([2, 1, 1, 120, 2, 9, 0, 0, 0, 0, 0, 0, 0x07, 1, 0xff], type: 18)
        == .list([bytes("x"), bytes("7")]))
  }

  @Test func `what is malformed, and what is not read, is nil`() {
    #expect(RDBValueReader.read([3, 104, 105], type: 0) == nil)
    #expect(RDBValueReader.read([2, 104, 105, 0], type: 0) == nil)
    for type in UInt8.min ... .max {
      for count in 0..<24 {
        _ = RDBValueReader.read([UInt8](repeating: 0xff, count: count), type: type)
        _ = RDBValueReader.read((0..<count).map { UInt8($0 * 11) }, type: type)
      }
    }
    #expect(RDBValueReader.read([0], type: 15) == nil)
  }

  @Test func `commands are handed on however the bytes are cut`() {
    let text =
      "#TS:1700000000\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$0\r\n\r\n$2\r\n\r\n\r\n"
    for size in 1...text.utf8.count {
      var reader = AOFCommandReader()
      var found: [[[UInt8]?]] = []
      var places: [Range<UInt64>] = []
      let all = bytes(text)
      for start in stride(from: 0, to: all.count, by: size) {
        Array(all[start..<min(start + size, all.count)]).withUnsafeBytes {
          reader.consume($0) { event in
            switch event {
            case .command(let command):
              #expect(command.isWhole && command.count == UInt64(command.arguments.count))
              places.append(command.start..<command.end)
              found.append(command.arguments)
            case .timestamp(let seconds, let start): #expect(seconds == 1_700_000_000 && start == 0)
            }
          }
        }
      }
      #expect(
        found == [[bytes("DEL"), bytes("k")], [bytes("SET"), [], bytes("\r\n")]], "\(size)")
      #expect(places == [16..<36, 36..<UInt64(all.count)])
      #expect(!reader.isBroken && reader.offset == UInt64(all.count))
    }
  }
}
