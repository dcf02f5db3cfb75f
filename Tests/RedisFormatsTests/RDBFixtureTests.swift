import RedisFormats
import Testing

/// Files of real servers with every type and encoding their commands reach: plain and compressed, with and
/// without checksum, LRU and LFU attributes, functions, streams with groups, field expiries, a vector set,
/// cluster mode. The numbers of keys and expiries are from INFO keyspace when the file was saved. The
/// elements are the sum of LLEN, SCARD, ZCARD, HLEN, XLEN and VCARD.
struct RDBFixtureTests {
  struct Case: Sendable {
    var server: String
    var version: Int
    var keys: UInt64
    var elements: UInt64
    var fieldExpires: UInt64 = 0
    var functions = 2
  }
  private static let cases = [
    Case(server: "redis-6.2.5", version: 9, keys: 25, elements: 498, functions: 0),
    Case(server: "redis-7.0.15", version: 10, keys: 25, elements: 498),
    Case(server: "redis-8.2.3", version: 12, keys: 28, elements: 522, fieldExpires: 5),
    Case(server: "valkey-9.1.2", version: 80, keys: 27, elements: 521, fieldExpires: 5),
  ]

  @Test(arguments: cases.indices, ["", "-plain", "-lfu"])
  func isWalkedToTheEnd(_ index: Int, variant: String) throws {
    let expected = RDBFixtureTests.cases[index]
    let file = try fixture(expected.server + variant + ".rdb")
    let (walker, used) = walk(file)
    let summary = walker.summary
    #expect(walker.state == .ended(at: UInt64(file.count)))
    #expect(used == file.count)
    #expect(summary.checksum == (variant == "-plain" ? .none : .matches))
    #expect(summary.version == expected.version)
    #expect(summary.isValkey == (expected.version >= 80))
    #expect(expected.server.hasSuffix(summary.serverVersion ?? "none"))
    #expect(summary.functions == expected.functions)
    #expect(summary.databases.keys.sorted() == [0, 1, 15])
    #expect(summary.databases[0]?.keys == expected.keys)
    #expect(summary.databases[0]?.expires == 2)
    #expect(summary.databases[0]?.elements == expected.elements)
    #expect(summary.databases[0]?.types["stream"]?.elements == 129)
    #expect(summary.databases[1]?.keys == 2)
    #expect(summary.databases[1]?.expires == 1)
    #expect(summary.databases[1]?.elements == 1)
    #expect(summary.databases[15]?.keys == 1)
    #expect(summary.databases[15]?.elements == 1)
    #expect(summary.fieldExpires == expected.fieldExpires)
  }

  @Test(arguments: ["redis-8.2.3-cluster.rdb", "valkey-9.1.2-cluster.rdb"])
  func ofClusterModeIsWalkedToTheEnd(_ name: String) throws {
    let file = try fixture(name)
    let summary = walk(file).walker.summary
    #expect(summary.checksum == .matches)
    #expect(summary.byteCount == UInt64(file.count))
    #expect(summary.keys == 60)
    #expect(summary.expires == 1)
    #expect(summary.auxiliary["slot-info"] == nil)
  }

  @Test(arguments: ["redis-6.2.5", "redis-7.0.15", "redis-8.2.3", "valkey-9.1.2"])
  func doesNotDependOnThePieces(_ name: String) throws {
    let file = try fixture(name + ".rdb")
    let whole = walk(file).walker
    for size in [1, 2, 3, 7, 64, 1000] {
      let cuts = Array(stride(from: size, to: file.count, by: size))
      let (walker, _) = walk(file, cutAt: cuts)
      #expect(walker.state == whole.state, "pieces of \(size)")
      #expect(walker.summary == whole.summary, "pieces of \(size)")
    }
    for cut in stride(from: 1, to: file.count, by: 5) {
      let (walker, _) = walk(file, cutAt: [cut])
      #expect(walker.state == whole.state, "cut at \(cut)")
    }
  }

  @Test(arguments: ["redis-6.2.5", "redis-7.0.15", "redis-8.2.3", "valkey-9.1.2"])
  func neverAcceptsATruncatedFile(_ name: String) throws {
    let file = try fixture(name + ".rdb")
    for count in stride(from: 0, to: file.count, by: 11) {
      guard case .malformed = walk(Array(file.prefix(count))).walker.state else {
        Issue.record("cut at \(count)")
        continue
      }
    }
  }
}
