import RedisFormats
import Testing

/// Append-only files of real servers: an INCR with annotations after a rewrite (since 7.0), and the single
/// file of 6.2, which begins with an RDB.
struct AOFFixtureTests {
  @Test(arguments: ["redis-6.2.5", "redis-7.0.15", "redis-8.2.3", "valkey-9.1.2"])
  func isScannedToTheEnd(_ server: String) throws {
    let file = try fixture(server + ".aof")
    let isOld = server == "redis-6.2.5"
    for cut in stride(from: 0, through: file.count, by: 3) {
      var scanner = scan(file, cutAt: [cut])
      #expect(scanner.fault == nil)
      #expect(scanner.boundary == UInt64(file.count))
      #expect(scanner.commands == (isOld ? 11 : 12))
      let findings = scanner.takeFindings()
      var names: [String] = []
      var times: [Int64] = []
      for finding in findings {
        switch finding.kind {
        case .destructive(let name): names.append(name)
        case .timestamp(let seconds): times.append(seconds)
        }
      }
      #expect(names == ["FLUSHDB", "SWAPDB", "FLUSHALL"] + (isOld ? [] : ["FUNCTION FLUSH"]))
      #expect(times.count == (isOld ? 0 : 3))
      #expect(times == times.sorted())
      #expect(scanner.preamble?.keys == (isOld ? 2 : nil))
      #expect(scanner.preamble?.databases[3]?.elements == (isOld ? 3 : nil))
    }
  }
}
