import RedisFormats
import Testing

/// Which parts of a primary's stream change data.
struct ReplicationStreamTests {
  private static func command(_ words: String...) -> [UInt8] {
    var text = "*\(words.count)\r\n"
    for word in words { text += "$\(word.utf8.count)\r\n\(word)\r\n" }
    return Array(text.utf8)
  }

  private static func read(_ bytes: [UInt8], chunk: Int = .max) -> ReplicationStream {
    var stream = ReplicationStream()
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = Array(rest.prefix(chunk))
      rest = rest.dropFirst(chunk)
      part.withUnsafeBytes { stream.consume($0) }
    }
    return stream
  }

  @Test(arguments: [1, 2, 3, 7, 64, Int.max])
  func onlyCommandsThatChangeDataCount(chunk: Int) {
    let set = Self.command("SET", "key", String(repeating: "x", count: 100))
    let idle =
      Self.command("PING") + Self.command("ping") + Self.command("PUBLISH", "channel", "news")
      + Self.command("SPUBLISH", "channel", "") + Self.command("REPLCONF", "GETACK", "*")
    let stream = Self.read(set + idle + idle, chunk: chunk)
    #expect(stream.dataEnd == UInt64(set.count))
    #expect(stream.boundary == UInt64(set.count + 2 * idle.count))
    #expect(stream.taken == stream.boundary && stream.questions == 2 && stream.fault == nil)
    let more = Self.read(set + idle + set + Array(set.dropLast()), chunk: chunk)
    #expect(more.dataEnd == UInt64(2 * set.count + idle.count))
    #expect(more.boundary == more.dataEnd && more.taken > more.boundary)
  }

  @Test func everythingUnknownMayChangeData() {
    for words in [["FLUSHALL"], ["pingpingping", "x"], ["publisher", "a"], ["REPLCONF", "x"]] {
      var text = "*\(words.count)\r\n"
      for word in words { text += "$\(word.utf8.count)\r\n\(word)\r\n" }
      let stream = Self.read(Array(text.utf8))
      let isData = words[0] != "REPLCONF"
      #expect(stream.dataEnd == (isData ? UInt64(text.utf8.count) : 0), "\(words)")
      #expect(stream.questions == 0)
    }
  }

  @Test func argumentsMayHoldAnything() {
    let command = Self.command("SET", "*1\r\n$4\r\nPING\r\n", "\r\n\r\n$-1")
    let stream = Self.read(command + command, chunk: 5)
    #expect(stream.dataEnd == UInt64(2 * command.count) && stream.fault == nil)
  }

  @Test func whatIsNoCommandIsAFault() {
    for bytes in [
      "PING\r\n", "*x\r\n", "*1\r\n$1x\r\n", "*0\r\n", "*1\n$1\r\n", "*99999999999999\r\n",
      "*1\r\n$1\r\nab\r\n",
    ] {
      #expect(Self.read(Array(bytes.utf8)).fault != nil, "\(bytes)")
    }
  }
}
