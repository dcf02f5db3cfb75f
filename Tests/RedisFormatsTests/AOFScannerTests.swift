import RedisFormats
import Testing

struct AOFScannerTests {
  /// A stream with everything in it, and the offsets at which it may be cut.
  struct Stream {
    var bytes: [UInt8] = []
    var boundaries: Set<Int> = [0]
    var findings: [AOFFinding] = []
    mutating func add(_ part: [UInt8], isSafe: Bool = true) {
      bytes += part
      if isSafe { boundaries.insert(bytes.count) }
    }
  }

  private static let stream: Stream = {
    var stream = Stream()
    var start: UInt64 = 0
    func note(_ kind: AOFFinding.Kind) {
      stream.findings.append(
        AOFFinding(kind: kind, start: start, end: UInt64(stream.bytes.count)))
      start = UInt64(stream.bytes.count)
    }
    stream.add(bytes("#TS:1700000000\r\n"))
    note(.timestamp(seconds: 1_700_000_000))
    stream.add(command("SELECT", "0"))
    stream.add(command("SET", "#TS:5\r\n", "*2\r\n$4\r\n\0\r\n"))
    stream.add(command("SET", "", ""))
    stream.add(bytes("# a comment\n"))
    start = UInt64(stream.bytes.count)
    stream.add(command("flushDB", "async"))
    note(.destructive(name: "FLUSHDB"))
    stream.add(command("MULTI"), isSafe: false)
    stream.add(command("SET", "MULTI", "EXEC"), isSafe: false)
    stream.add(command("SELECT", "1"), isSafe: false)
    stream.add(command("FLUSHALL"), isSafe: false)
    let annotationStart = UInt64(stream.bytes.count)
    stream.add(bytes("#TS:1700000001\n"), isSafe: false)
    let annotationEnd = UInt64(stream.bytes.count)
    stream.add(command("exec"))
    note(.destructive(name: "FLUSHALL"))
    stream.findings.append(
      AOFFinding(
        kind: .timestamp(seconds: 1_700_000_001), start: annotationStart, end: annotationEnd))
    stream.add(command("FUNCTION", "LOAD", "#!lua name=x\nFLUSH"))
    start = UInt64(stream.bytes.count)
    stream.add(command("function", "Flush"))
    note(.destructive(name: "FUNCTION FLUSH"))
    stream.add(command("SWAPDB", "0", "1"))
    note(.destructive(name: "SWAPDB"))
    stream.add(command("FLUSHALLX"))
    stream.add(command("SET", "FLUSHALL", "FLUSHALL"))
    return stream
  }()

  /// A loader queues DISCARD like any other command, so only EXEC ends a transaction. Tested with every
  /// server.
  @Test func discardEndsNoTransaction() {
    let before = command("SET", "k", "v")
    let open = before + command("MULTI") + command("SET", "a", "b") + command("DISCARD")
    let scanner = scan(open + command("SET", "c", "d"))
    #expect(scanner.fault == nil && scanner.boundary == UInt64(before.count))
    #expect(scanner.isInsideTransaction)
    let whole = open + command("EXEC")
    #expect(scan(whole).boundary == UInt64(whole.count))
  }

  @Test func findsEverythingHoweverCut() {
    let stream = AOFScannerTests.stream
    let count = stream.bytes.count
    for first in 0...count {
      for second in stride(from: first, through: count, by: 13) {
        var scanner = scan(stream.bytes, cutAt: [first, second])
        #expect(scanner.fault == nil)
        #expect(scanner.offset == UInt64(count))
        #expect(scanner.boundary == UInt64(count))
        #expect(scanner.commands == 10)
        #expect(scanner.takeFindings() == stream.findings, "cut at \(first) and \(second)")
        #expect(scanner.takeFindings().isEmpty)
      }
    }
    var single = scan(stream.bytes, cutAt: Array(1..<count))
    #expect(single.takeFindings() == stream.findings)
  }

  @Test func stopsOnlyAtSafeCuts() {
    let stream = AOFScannerTests.stream
    var scanner = AOFScanner()
    for count in 0...stream.bytes.count {
      let expected = stream.boundaries.filter { $0 <= count }.max() ?? 0
      #expect(scanner.boundary == UInt64(expected), "after \(count) bytes")
      #expect(scanner.offset == UInt64(count))
      var whole = scan(Array(stream.bytes.prefix(count)))
      #expect(whole.boundary == UInt64(expected), "first \(count) bytes")
      #expect(whole.takeFindings().allSatisfy { $0.end <= whole.boundary })
      if count < stream.bytes.count {
        stream.bytes[count...count].withUnsafeBytes { scanner.consume($0) }
      }
    }
  }

  @Test func goesOnFromEverySafeCut() {
    let stream = AOFScannerTests.stream
    for boundary in stream.boundaries.sorted() {
      var scanner = AOFScanner(at: UInt64(boundary))
      stream.bytes[boundary...].withUnsafeBytes { scanner.consume($0) }
      #expect(scanner.fault == nil)
      #expect(scanner.boundary == UInt64(stream.bytes.count))
      #expect(scanner.takeFindings() == stream.findings.filter { $0.start >= boundary })
    }
  }

  @Test func holdsBackAnUnfinishedTransaction() {
    var scanner = scan(command("SET", "k", "v") + command("MULTI") + command("FLUSHALL"))
    #expect(scanner.isInsideTransaction)
    #expect(scanner.boundary == UInt64(command("SET", "k", "v").count))
    #expect(scanner.takeFindings().isEmpty)
    command("EXEC").withUnsafeBytes { scanner.consume($0) }
    #expect(!scanner.isInsideTransaction)
    #expect(scanner.takeFindings().count == 1)
  }

  @Test(
    arguments: [
      ("\0\0\0\0", 0, "zero bytes"), ("garbage", 0, "garbage"), ("\r\n", 0, "garbage"),
      ("$3\r\nSET\r\n", 0, "garbage"), ("REDIS", 0, "garbage"), ("*x\r\n", 1, "arguments"),
      ("*\r\n", 1, "arguments"), ("*0\r\n", 0, "without arguments"), ("*-1\r\n", 1, "arguments"),
      ("*1\n", 2, "arguments"), ("*1\rx", 3, "arguments"), ("*2147483649\r\n", 11, "arguments"),
      ("*00000000000001\r\n", 14, "arguments"), ("*1\r\n*1\r\n", 4, "length is missing"),
      ("*1\r\n$x\r\n", 5, "length of"), ("*1\r\n$-1\r\n", 5, "length of"),
      ("*1\r\n$1099511627777\r\n", 18, "length of"), ("*1\r\n\0\0", 4, "length is missing"),
      ("#TS:17\0\0\n", 6, "zero bytes in an annotation"),
    ])
  func refusesBadFraming(_ garbage: String, at index: Int, reason: String) {
    let good = command("SET", "k", "v")
    for cut in 0...(good.count + garbage.utf8.count) {
      var scanner = scan(good + bytes(garbage), cutAt: [cut])
      #expect(scanner.fault?.offset == UInt64(good.count + index), "\(garbage) cut at \(cut)")
      #expect(scanner.fault?.reason.contains(reason) == true, "\(scanner.fault?.reason ?? "")")
      #expect(scanner.boundary == UInt64(good.count))
      #expect(scanner.offset >= scanner.boundary)
      let before = scanner.fault
      good.withUnsafeBytes { scanner.consume($0) }
      #expect(scanner.fault == before)
    }
  }

  /// Servers read two bytes after an argument without checking them (`loadSingleAppendOnlyFile`).
  @Test(arguments: ["\n\n", "\ra", "ab", "\0\0"])
  func takesWhatLoadersTake(_ end: String) {
    let good = command("SET", "k", "v")
    let odd = bytes("*1\r\n$4\r\nPING" + end)
    for cut in 0...(good.count + odd.count) {
      let scanner = scan(good + odd + good, cutAt: [cut])
      #expect(scanner.fault == nil)
      #expect(scanner.boundary == UInt64(good.count * 2 + odd.count))
    }
  }

  @Test func aLineOfMoreThan1023BytesIsNoAnnotation() {
    let longest = bytes("#" + String(repeating: "x", count: 1021) + "\n")
    #expect(scan(longest).boundary == 1023)
    let tooLong = bytes("#" + String(repeating: "x", count: 1022) + "\n")
    #expect(scan(tooLong).fault?.reason == "an annotation is longer than 1023 bytes")
  }

  @Test(
    arguments: [
      "#TS:\r\n", "#TS:x\r\n", "#TS:-5\n", "#TS:99999999999999999999999\n", "#ts:1\n",
    ])
  func anAnnotationWithoutTimeIsAComment(_ line: String) {
    var scanner = scan(bytes(line))
    #expect(scanner.boundary == UInt64(line.utf8.count))
    #expect(scanner.takeFindings().isEmpty)
  }

  @Test func hugeNumbersAllocateNothing() {
    var scanner = scan(bytes("*2147483648\r\n$1099511627776\r\n"))
    let piece = [UInt8](repeating: 0, count: 1 << 20)
    piece.withUnsafeBytes { scanner.consume($0) }
    #expect(scanner.fault == nil)
    #expect(scanner.boundary == 0)
  }

  // MARK: Preamble

  @Test func readsAnRDBPreamble() {
    let file = vector + command("SET", "k", "v")
    for cut in 0...file.count {
      let scanner = scan(file, cutAt: [cut])
      #expect(scanner.boundary == UInt64(file.count))
      #expect(scanner.preamble?.keys == 3)
      #expect(scanner.preambleState == .ended(at: 131))
      #expect(scanner.commands == 1)
      let prefix = scan(Array(file.prefix(cut)))
      #expect(prefix.boundary == (cut < 131 ? 0 : cut < file.count ? 131 : UInt64(file.count)))
      #expect(prefix.fault == nil)
      #expect(prefix.hasContent == (cut > 85))
    }
  }

  @Test func refusesABrokenOrUnknownPreamble() {
    var broken = vector
    broken[100] ^= 1
    #expect(scan(broken).fault?.reason.contains("RDB preamble") == true)
    #expect(scan(broken).boundary == 0)
    #expect(scan(rdb([33])).fault?.offset == 9)
    #expect(scan(bytes("RUBBISH")).fault?.offset == 0)
    var later = AOFScanner(at: 131)
    vector.withUnsafeBytes { later.consume($0) }
    #expect(later.fault?.offset == 131)
  }

  @Test func anEmptyPreambleHasNoContent() {
    #expect(!scan(rdb([])).hasContent)
    #expect(!scan(rdb([]) + command("SELECT", "0")).hasContent)
    #expect(scan(rdb([]) + command("SET", "a", "b")).hasContent)
  }

  // MARK: Bounds

  @Test func thinsTimestampsBeforeItForgetsDestructiveCommands() {
    var scanner = AOFScanner()
    for number in 0..<100_000 {
      bytes("#TS:\(number)\r\n").withUnsafeBytes { scanner.consume($0) }
      if number % 1000 == 0 {
        command("FLUSHALL").withUnsafeBytes { scanner.consume($0) }
      }
    }
    let findings = scanner.takeFindings()
    #expect(findings.count <= 65_536)
    #expect(findings.count > 30_000)
    #expect(findings.filter { $0.kind == .destructive(name: "FLUSHALL") }.count == 100)
    #expect(zip(findings, findings.dropFirst()).allSatisfy { $0.start < $1.start })
  }
}
