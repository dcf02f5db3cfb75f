import BackupTypes
import Testing

@testable import RedisFormats

/// The number of keys after a log, according to the names in its commands.
@Suite struct KeySampleTests {
  private func log(_ commands: [[String]]) -> [UInt8] {
    commands.flatMap { words in
      Array("*\(words.count)\r\n".utf8)
        + words.flatMap { Array("$\($0.utf8.count)\r\n\($0)\r\n".utf8) }
    }
  }

  private func scanned(_ commands: [[String]], by piece: Int = .max) -> AOFScanner {
    var scanner = AOFScanner()
    scanner.keys = KeySample()
    let bytes = log(commands)
    bytes.withUnsafeBytes { bytes in
      var start = 0
      while start < bytes.count {
        let end = start + min(piece, bytes.count - start)
        scanner.consume(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
        start = end
      }
    }
    return scanner
  }

  private func bounds(
    _ commands: [[String]], over base: [(number: Int, keys: UInt64, expires: UInt64)] = []
  ) -> [UInt64?] {
    let bounds = scanned(commands).keyBounds(over: KeyBounds(counted: base))
    return [bounds.atLeast, bounds.atMost, bounds.expiring]
  }

  @Test func `what is written is there, what is removed is not`() {
    #expect(bounds([]) == [0, 0, 0])
    #expect(bounds([["SET", "a", "1"], ["SET", "a", "2"]]) == [1, 1, 0])
    #expect(bounds([["SET", "a", "1"], ["del", "a"]]) == [0, 0, 0])
    #expect(bounds([["MSET", "a", "x", "b", "a"], ["DEL", "a", "c"]]) == [1, 1, 0])
    #expect(bounds([["RENAME", "a", "b"]]) == [1, 1, 0])
    #expect(bounds([["COPY", "a", "b"], ["HINCRBYFLOAT", "h", "f", "1"]]) == [2, 2, 0])
    #expect(bounds([["RPOPLPUSH", "a", "b"]]) == [1, 2, 0])
    #expect(bounds([["SADD", "s", "1"], ["SREM", "s", "1"]]) == [0, 1, 0])
    #expect(bounds([["SREM", "s", "1"], ["SADD", "s", "1"]]) == [1, 1, 0])
    #expect(bounds([["JSON.SET", "a", "$", "1"], ["PUBLISH", "c", "m"]]) == [0, 1, 0])
  }

  @Test func `behind a command that may write many keys only what is there at least is known`() {
    let many = ["EVAL", "return 1", "0"]
    #expect(bounds([["SET", "c", "1"], many]) == [1, nil, 0])
    #expect(bounds([many, ["FLUSHALL"], ["SET", "c", "1"]]) == [1, 1, 0])
  }

  @Test func `commands of newer servers write and remove what they name`() {
    #expect(
      bounds([["MSETEX", "2", "a", "x", "b", "y", "PXAT", "1700000000000"], ["SET", "c", "1"]])
        == [3, 3, 2])
    #expect(bounds([["MSETEX", "9", "a", "x"], ["DEL", "a"]]) == [0, 0, 0])
    #expect(bounds([["ARSET", "a", "0", "x"], ["VADD", "v", "FP32", "b", "e"]]) == [2, 2, 0])
    #expect(bounds([["ARSET", "a", "0", "x"], ["ARDEL", "a", "0"]]) == [0, 1, 0])
    #expect(bounds([["SET", "a", "1"], ["DELEX", "a"]]) == [0, 1, 0])
    // It is not known which keys are in that slot. A key that is written later exists.
    let flushed = [["SET", "a", "1"], ["CLUSTER", "FLUSHSLOT", "7", "SYNC"], ["SET", "b", "1"]]
    #expect(bounds(flushed, over: [(0, 50, 0)]) == [1, 52, 0])
    #expect(bounds([["TRIMSLOTS", "RANGES", "1", "0", "9"]], over: [(0, 50, 9)]) == [0, 50, 9])
  }

  @Test func `a slot that is emptied is a finding`() {
    var scanner = scanned([["SET", "a", "1"], ["cluster", "flushslot", "7", "SYNC"]])
    #expect(scanner.takeFindings().map(\.kind) == [.destructive(name: "CLUSTER FLUSHSLOT")])
    var other = scanned([
      ["CLUSTER", "COUNTKEYSINSLOT", "7"], ["TRIMSLOTS", "RANGES", "1", "0", "9"],
    ])
    #expect(other.takeFindings().isEmpty && other.commands == 2)
  }

  @Test func `what has a time to live is told apart`() {
    #expect(bounds([["SET", "a", "1", "PXAT", "1700000000000"]]) == [1, 1, 1])
    #expect(bounds([["SET", "a", "1", "px", "5"], ["SET", "a", "1"]]) == [1, 1, 0])
    #expect(bounds([["SET", "a", "1", "PX", "5"], ["SET", "a", "1", "KEEPTTL"]]) == [1, 1, 1])
    #expect(bounds([["SET", "a", "PXAT"]]) == [1, 1, 0])
    #expect(bounds([["HSET", "a", "f", "v"], ["PEXPIREAT", "a", "1"]]) == [1, 1, 1])
    #expect(bounds([["PEXPIREAT", "a", "1"], ["INCR", "a"]]) == [1, 1, 1])
    #expect(bounds([["PEXPIREAT", "a", "1"], ["PERSIST", "a"]]) == [1, 1, 0])
    #expect(bounds([["RESTORE", "a", "0", "x"], ["RESTORE", "b", "500", "x"]]) == [2, 2, 1])
  }

  @Test func `keys of a full copy are only counted`() {
    #expect(bounds([["DEL", "a", "b"]], over: [(0, 10, 4)]) == [8, 8, 2])
    #expect(bounds([["SET", "a", "1"], ["DEL", "a"]], over: [(0, 10, 0)]) == [9, 10, 0])
    #expect(bounds([["LPOP", "a"]], over: [(0, 10, 0)]) == [9, 11, 0])
    #expect(bounds([["SET", "a", "1"]], over: [(0, 10, 0)]) == [10, 11, 0])
  }

  @Test func `databases are emptied and swapped one by one`() {
    let two: [[String]] = [
      ["SET", "a", "1"], ["SELECT", "3"], ["SET", "b", "1"], ["SET", "c", "1"],
    ]
    let base: [(number: Int, keys: UInt64, expires: UInt64)] = [(0, 10, 0), (3, 100, 0)]
    #expect(bounds(two + [["FLUSHDB"]], over: base) == [10, 11, 0])
    #expect(bounds(two + [["SELECT", "0"], ["FLUSHDB", "ASYNC"]], over: base) == [100, 102, 0])
    #expect(bounds(two + [["FLUSHALL"], ["SET", "d", "1"]], over: base) == [1, 1, 0])
    // Database 3 is now database 0, and is emptied there.
    #expect(
      bounds(two + [["SWAPDB", "3", "0"], ["SELECT", "0"], ["FLUSHDB"]], over: base) == [10, 11, 0])
    #expect(
      bounds(two + [["FLUSHALL"], ["DEL", "b"], ["SELECT", "0"]], over: base) == [0, 0, 0])
  }

  @Test func `however the bytes are cut, the keys are the same`() {
    var commands: [[String]] = [["SELECT", "12"]]
    for number in 0..<300 {
      commands.append(["SET", "a key with a name \(number % 50)", "v\(number)", "EX", "100"])
      if number % 3 == 0 { commands.append(["UNLINK", "a key with a name \(number % 70)"]) }
      commands.append(["INCRBYFLOAT", "n\(number % 11)", "1"])
    }
    let whole = scanned(commands).keyBounds(over: .none)
    #expect(whole.atLeast > 20)
    for piece in [1, 2, 3, 7, 64] {
      #expect(scanned(commands, by: piece).keyBounds(over: .none) == whole)
    }
  }

  @Test func `of many keys a sample tells the number`() throws {
    var scanner = scanned((0..<200_000).map { ["SET", "key:\($0)", "v"] })
    func isNear(_ count: UInt64) throws -> Bool {
      let most = try #require(scanner.keyBounds(over: .none).atMost)
      return most > count - count / 10 && most < count + count / 10
    }
    #expect(try isNear(200_000))
    log((0..<150_000).map { ["DEL", "key:\($0)"] }).withUnsafeBytes { scanner.consume($0) }
    #expect(try isNear(50_000))
    scanner.settleKeys()
    #expect(try isNear(50_000))
  }

  @Test func `keys that come and go leave those that stay`() {
    let churn = (0..<100_000).flatMap { [["SET", "job:\($0)", "v"], ["DEL", "job:\($0)"]] }
    let stays = [["SET", "a", "1"], ["SET", "b", "1"], ["SET", "c", "1"]]
    #expect(bounds(stays + churn) == [3, 3, 0])
  }

  @Test func `behind a stretch that nobody looked at only what is written is known`() {
    var scanner = AOFScanner(at: 100)
    scanner.keys = KeySample(isPartial: true)
    log([["SET", "a", "1"]]).withUnsafeBytes { scanner.consume($0) }
    let bounds = scanner.keyBounds(over: KeyBounds(counted: [(0, 10, 0)]))
    #expect(bounds.atLeast == 1 && bounds.atMost == nil)
  }
}
