import RedisFormats
import Testing

/// Layouts that no server at hand writes, built by hand from Redis's `rdbLoadObject`.
struct RDBLayoutTests {
  struct Case: Sendable {
    var name: String
    var magic = "REDIS0012"
    var record: [UInt8]
    var type: String
    var elements: UInt64
    var fieldExpires: UInt64 = 0
  }

  private static let ziplist: [UInt8] = [
    15, 0, 0, 0, 12, 0, 0, 0, 2, 0, 0, 0xf3, 2, 0xf4, 0xff,
  ]
  private static let compressedListpack: [UInt8] = [
    // 41 bytes, 6 entries claimed, then a run and the end byte; 14 bytes of LZF.
    0xc3, 14, 41, 7, 41, 0, 0, 0, 6, 0, 1, 1, 0xe0, 23, 1, 0, 0xff,
  ]

  private static let cases: [Case] = [
    Case(name: "list", record: [1, 1, 107, 2, 1, 97, 0xc0, 5], type: "list", elements: 2),
    Case(
      name: "old sorted set",
      record: [3, 1, 107, 3, 1, 97, 3, 49, 46, 53, 1, 99, 254, 1, 100, 255],
      type: "zset", elements: 3),
    Case(
      name: "zipmap", record: [9, 1, 107, 7, 1, 1, 97, 1, 0, 98, 0xff], type: "hash", elements: 1),
    Case(name: "list ziplist", record: [10, 1, 107, 15] + ziplist, type: "list", elements: 2),
    Case(name: "hash ziplist", record: [13, 1, 107, 15] + ziplist, type: "hash", elements: 1),
    Case(
      name: "quicklist", record: [14, 1, 107, 2, 15] + ziplist + [15] + ziplist, type: "list",
      elements: 4),
    Case(
      name: "intset", record: [11, 1, 107, 12, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 2, 0], type: "set",
      elements: 2),
    Case(
      name: "compressed listpack", record: [16, 1, 107] + compressedListpack, type: "hash",
      elements: 3),
    Case(name: "empty list", record: [1, 1, 107, 0], type: "list", elements: 0),
    Case(
      name: "module",
      record: [7, 1, 107, 0x81, 1, 2, 3, 4, 5, 6, 7, 8]
        + [1, 5, 2, 0x40, 9, 3, 1, 2, 3, 4, 4, 1, 2, 3, 4, 5, 6, 7, 8, 5, 2, 120, 121, 5, 0, 0],
      type: "module", elements: 0),
    Case(
      name: "hash with field expiries, release candidate",
      record: [22, 1, 107, 2, 0, 1, 97, 1, 98, 5, 1, 99, 1, 100], type: "hash", elements: 2,
      fieldExpires: 1),
    Case(
      name: "hash with field expiries",
      record: [24, 1, 107, 1, 2, 3, 4, 5, 6, 7, 8, 2, 0, 1, 97, 1, 98, 5, 1, 99, 1, 100],
      type: "hash", elements: 2, fieldExpires: 1),
    Case(
      name: "hash with field expiries, Valkey", magic: "VALKEY080",
      record: [22, 1, 107, 2, 1, 97, 1, 98] + [UInt8](repeating: 255, count: 8)
        + [1, 99, 1, 100, 1, 2, 3, 4, 5, 6, 7, 0], type: "hash", elements: 2, fieldExpires: 1),
  ]

  @Test(arguments: cases.indices)
  func isWalked(_ index: Int) {
    let expected = RDBLayoutTests.cases[index]
    let file = rdb(expected.record, magic: expected.magic)
    for cut in 0...file.count {
      for cuts in [[cut], Array(min(1, cut)...cut)] {
        let summary = walk(file, cutAt: cuts).walker.summary
        #expect(summary.checksum == .matches, "\(expected.name) cut at \(cuts)")
        let type = summary.databases[0]?.types[expected.type]
        #expect(type?.keys == 1, "\(expected.name)")
        #expect(type?.elements == expected.elements, "\(expected.name)")
        #expect(summary.fieldExpires == expected.fieldExpires, "\(expected.name)")
      }
    }
  }

  /// Records between keys change no count: attributes belong to the next key, AUX to nobody.
  @Test func walksRecordsBetweenKeys() {
    var records: [UInt8] = [0xf7, 5, 2, 1, 5, 1, 120, 0]
    records += [0xf4, 1, 1, 1, 0xfe, 3, 0xfb, 2, 1]
    records += [0xfc, 1, 2, 3, 4, 5, 6, 7, 8, 0xf8, 9, 0, 1, 97, 1, 98]
    records += [0xfa, 1, 120, 1, 121]
    records += [0xfd, 1, 2, 3, 4, 0xf9, 9, 0, 1, 99, 1, 100, 0, 1, 101, 1, 102]
    let summary = walk(rdb(records)).walker.summary
    #expect(summary.checksum == .matches)
    #expect(summary.databases[3]?.keys == 3)
    #expect(summary.databases[3]?.expires == 2)
    let slotImport: [UInt8] = [0xf3, 2, 120, 121, 2, 0, 5, 7, 0x41, 0]
    #expect(walk(rdb(slotImport, magic: "VALKEY080")).walker.summary.checksum == .matches)
  }
}
