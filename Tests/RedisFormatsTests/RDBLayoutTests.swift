import RedisFormats
import Testing

/// Layouts that no installed server writes, built by hand from Redis's `rdbLoadObject`.
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
    Case(
      name: "stream of Redis 8.6", magic: "REDIS0013", record: stream(26), type: "stream",
      elements: 3),
    Case(
      name: "stream of Redis 8.8", magic: "REDIS0014", record: stream(27), type: "stream",
      elements: 3),
    Case(
      name: "array", magic: "REDIS0014",
      record: [28, 1, 107, 4, 1, 9, 0, 0, 1, 97, 5, 1, 1, 2, 3, 4, 5, 6, 7, 8, 6, 2]
        + [1, 2, 3, 4, 5, 6, 7, 8, 0x81, 255, 255, 255, 255, 255, 255, 255, 254, 3, 1, 98],
      type: "array", elements: 4),
    Case(
      name: "array without an insert index", magic: "REDIS0014",
      record: [28, 1, 107, 1, 0, 7, 0, 0],
      type: "array", elements: 1),
    Case(
      name: "empty array", magic: "REDIS0014", record: [28, 1, 107, 0, 0], type: "array",
      elements: 0),
    Case(
      name: "array with metadata of its key", magic: "REDIS0014",
      record: [0xf3, 1, 1, 2, 3, 4, 2, 7, 5, 1, 120, 0, 28, 1, 107, 1, 0, 7, 0, 0], type: "array",
      elements: 1),
    Case(
      name: "vector set",
      record: [7, 1, 107, 0x81] + vectorSet + [2, 3, 2, 5, 2, 1, 5, 1, 120, 0], type: "vectorset",
      elements: 5),
    Case(
      name: "hash of a template", magic: "REDIS0015",
      record: [0xf2, 7, 2, 1, 97, 1, 98, 32, 1, 107, 7, 1, 49, 0xc0, 5], type: "hash", elements: 2),
    Case(
      name: "packed hash of a template", magic: "REDIS0015",
      record: [
        0xf2, 7, 2, 1, 97, 1, 98, 30, 1, 107, 13, 13, 0, 0, 0, 3, 0, 7, 1, 1, 1, 2, 1, 0xff,
      ],
      type: "hash", elements: 2),
    Case(
      name: "hash of paths", magic: "VALKEY081",
      record: [23, 1, 107, 2, 0, 1, 1, 97, 1, 98, 1, 47, 2, 1, 97, 1, 98, 1, 99, 1, 100],
      type: "pathhash", elements: 3),
  ]

  /// "vectorset", version 1.
  private static let vectorSet: [UInt8] = {
    let id = "vectorset".utf8.reduce(0 as UInt64) { $0 << 6 | UInt64($1 - 97 + 26) } << 10 | 1
    return withUnsafeBytes(of: id.bigEndian) { Array($0) }
  }()

  /// One group with a consumer, an entry that was returned (8.8), and a producer with one entry.
  private static func stream(_ type: UInt8) -> [UInt8] {
    let id = [UInt8](repeating: 0, count: 15) + [1]
    let moment = [UInt8](repeating: 1, count: 8)
    var record: [UInt8] = [type, 1, 107, 0, 3, 5, 0, 1, 0, 0, 0, 3, 1, 1, 103, 5, 0, 3]
    record += [1] + id + moment + [1] + [1, 1, 99] + moment + moment + [0]
    if type == 27 { record += [1] + id }
    return record + [0x40, 100, 0x40, 100, 2, 1, 112, 1, 1, 105, 5, 0, 1, 113, 0, 1, 0]
  }

  /// A reference to a missing template, and a tag that no server writes. If a layout is only known from
  /// descriptions, a contradiction does not count as damage.
  @Test func tellsDamageFromWhatWasNeverSeen() {
    guard case .malformed = walk(rdb([28, 1, 107, 1, 0, 7, 4, 0], magic: "REDIS0014")).walker.state
    else {
      Issue.record("a tag that no server writes")
      return
    }
    let never = rdb([23, 1, 107, 1, 1, 97, 0xc5], magic: "VALKEY081")
    guard case .unknown(let fault) = walk(never).walker.state else {
      Issue.record("\(walk(never).walker.state)")
      return
    }
    #expect(fault.reason.contains("not verified"))
    #expect(walk(never).walker.summary.checksum == .matches)
    guard case .malformed = walk(Array(never.dropLast(9 + 2))).walker.state else {
      Issue.record("a file that ends inside a record is cut, whatever the record is")
      return
    }
  }

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

  /// Records between keys do not change the counts. Attributes belong to the next key, AUX to none.
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
