import BackupFormat
import BackupTypes
import FoundationEssentials
import HistoryLogic
import Recovery
import RedisFormats
import RepositoryAccess
import SystemPackage
import TestSupport
import Testing

/// Unknown data is data. A form that this release can't read is never called broken or empty. The shipper, a
/// look and `inspect` use the same rule (`RDBOpening`, `RDBWalker`).
@Suite struct UnknownDataTests {
  enum Verdict: String, Sendable { case empty, data, unknown, broken }

  private struct Found: Equatable, CustomStringConvertible {
    /// The shipper's verdict on the whole file.
    var shipped: GenerationIndex.Verdict?
    /// The verdict of a look, which only reads as far as necessary.
    var look: Verdict
    var isBrokenInInspect: Bool
    var description: String { "\(String(describing: shipped)), \(look), \(isBrokenInInspect)" }
  }

  /// All verdicts on `bytes` as the dump, the BASE, or the single AOF of a directory.
  private func judged(_ bytes: [UInt8], as role: String) throws -> Found {
    let folder = try TemporaryDirectory("unknown")
    switch role {
    case "dump": try TestFiles.write(bytes, to: folder("dump.rdb"))
    case "legacy": try TestFiles.write(bytes, to: folder("appendonly.aof"))
    default:
      _ = try folder.makeDirectory("appendonlydir")
      try TestFiles.write(bytes, to: folder("appendonlydir/b"))
      try TestFiles.write(
        "file b seq 1 type b\n", to: folder("appendonlydir/appendonly.aof.manifest"))
    }
    let facts = try DirectoryLook(FilePath(folder.path), names: ServerNames()).facts()
    let content =
      switch role {
      case "dump": facts.dump
      case "legacy": facts.legacy
      default: facts.files["b"] ?? .absent
      }
    let look: Verdict =
      switch content {
      case .absent, .empty: .empty
      case .data: .data
      case .unknown: .unknown
      case .broken: .broken
      }
    if look == .unknown { #expect(!facts.warnings.isEmpty) }
    var check = GenerationCheck(kind: role == "dump" ? .dump : .base)
    for start in stride(from: 0, to: bytes.count, by: 5) {
      Array(bytes[start..<min(start + 5, bytes.count)]).withUnsafeBytes { check.consume($0) }
    }
    let (verdict, summary) = check.finish()
    let shipped: GenerationIndex.Verdict? =
      switch verdict {
      case .good: .good
      case .unverified: .unverified
      case .broken: nil
      }
    // An unknown count is not 0.
    if shipped == .unverified { #expect(summary.flatMap { DatasetRecord($0) } == nil) }
    let inspection = try DirectoryInspection.make(FilePath(folder.path), names: ServerNames())
    return Found(
      shipped: shipped, look: look, isBrokenInInspect: inspection.files.contains { $0.isBroken })
  }

  /// - Parameter damaged: whether its checksum is wrong; nil for no checksum.
  static func rdb(_ magic: String, _ records: [UInt8], damaged: Bool? = false) -> [UInt8] {
    let content = Array(magic.utf8) + records + [0xff]
    guard let damaged else { return content + littleEndianBytes(UInt64(0)) }
    var crc = CRC64()
    content.withUnsafeBytes { crc.update($0) }
    return content + littleEndianBytes(damaged ? crc.value ^ 1 : crc.value)
  }
  private static let key: [UInt8] = [0xfe, 0, 0, 1, 107, 1, 118]
  private static let select = Array("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n".utf8)
  private static let set = Array("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nv\r\n".utf8)

  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var bytes: [UInt8]
    var dump: Verdict
    var base: Verdict
    var testDescription: String { name }
  }

  static let cases: [Case] = [
    .init(name: "no bytes", bytes: [], dump: .broken, base: .empty),
    .init(name: "NULs", bytes: [UInt8](repeating: 0, count: 4096), dump: .broken, base: .broken),
    .init(name: "a prefix of a magic", bytes: Array("REDI".utf8), dump: .broken, base: .broken),
    .init(name: "shorter than a header", bytes: Array("NEWKV".utf8), dump: .broken, base: .broken),
    .init(
      name: "neither * nor # nor a magic", bytes: Array("$3\r\nSET\r\n and more".utf8),
      dump: .broken, base: .broken),
    .init(name: "only SELECT", bytes: select, dump: .broken, base: .empty),
    .init(
      name: "an annotation", bytes: Array("#TS:1795841049\r\n".utf8), dump: .broken, base: .empty),
    .init(name: "a command", bytes: select + set, dump: .broken, base: .data),
    .init(name: "a known RDB", bytes: rdb("REDIS0012", key), dump: .data, base: .data),
    .init(name: "without keys", bytes: rdb("REDIS0012", []), dump: .empty, base: .empty),
    .init(
      name: "a newer version of known types", bytes: rdb("REDIS0014", key), dump: .data,
      base: .data),
    .init(name: "a version to come", bytes: rdb("REDIS0099", key), dump: .unknown, base: .unknown),
    .init(name: "of Valkey", bytes: rdb("VALKEY082", key), dump: .unknown, base: .unknown),
    .init(
      name: "of an unknown trailer", bytes: rdb("REDIS0099", key, damaged: true), dump: .unknown,
      base: .unknown),
    .init(
      name: "an unknown type", bytes: rdb("REDIS0012", [60, 1, 107]), dump: .unknown, base: .unknown
    ),
    .init(
      name: "an unknown opcode", bytes: rdb("REDIS0012", [0xf1, 1, 107]), dump: .unknown,
      base: .unknown),
    .init(
      name: "VCS of LZ4, no frame", bytes: CompressedRDB.envelope(1) + set, dump: .broken,
      base: .broken),
    .init(
      name: "VCS of LZ4", bytes: CompressedRDB.wrap(rdb("VALKEY081", key, damaged: nil), .lz4),
      dump: .data, base: .data),
    .init(
      name: "VCS of zstd without keys",
      bytes: CompressedRDB.wrap(rdb("VALKEY081", [], damaged: nil), .zstd), dump: .empty,
      base: .empty),
    .init(
      name: "VCS of codec 3", bytes: Array("VCS\u{1}\u{3}\0\u{1}".utf8) + set, dump: .unknown,
      base: .unknown),
    .init(
      name: "another magic", bytes: Array("NEWKV0001".utf8) + set, dump: .unknown, base: .unknown),
  ]

  @Test(arguments: cases)
  func `every place says the same of a file`(test: Case) throws {
    for (role, expected) in [("dump", test.dump), ("base", test.base), ("legacy", test.base)] {
      let found = try judged(test.bytes, as: role)
      #expect(found.look == expected, "\(role): \(found)")
      #expect((found.shipped == nil) == (expected == .broken), "\(role): \(found)")
      // In a dump, the walker reads `$3...` and NULs. `inspect` reads a single AOF as a log.
      #expect(found.isBrokenInInspect == (expected == .broken), "\(role): \(found)")
      if expected == .unknown {
        #expect(found.shipped == .unverified, "\(role): \(found)")
      }
    }
  }

  /// In a known version, the trailer is understood whatever is inside, so a flipped bit is found.
  @Test func `damage that we understand stays damage`() throws {
    let flipped = UnknownDataTests.rdb("REDIS0012", [60, 1, 107], damaged: true)
    #expect(try judged(flipped, as: "dump").shipped == nil)
    // Commands may follow the RDB of a BASE. Its checksum shows where it ends.
    let whole = UnknownDataTests.rdb("REDIS0012", [60, 1, 107])
    for role in ["base", "legacy"] {
      #expect(try judged(whole + UnknownDataTests.set, as: role).shipped == .unverified)
      let damaged = try judged(flipped + UnknownDataTests.set, as: role)
      #expect(damaged.shipped == nil && damaged.isBrokenInInspect, "\(role): \(damaged)")
      let cut = try judged(Array(whole.dropLast(4)) + UnknownDataTests.set, as: role)
      #expect(cut.shipped == nil && cut.isBrokenInInspect, "\(role): \(cut)")
    }
    #expect(try judged(whole + [1, 2, 3], as: "dump").shipped == .unverified)
    let unchecked = UnknownDataTests.rdb("REDIS0012", [60, 1, 107], damaged: nil)
    #expect(try judged(unchecked, as: "dump").shipped == .unverified)
    #expect(try judged(unchecked + UnknownDataTests.set, as: "base").shipped == .unverified)
    #expect(
      try judged(UnknownDataTests.rdb("REDIS0012", UnknownDataTests.key, damaged: true), as: "dump")
        .shipped == nil)
    var cut = UnknownDataTests.rdb("REDIS0012", UnknownDataTests.key)
    cut.removeLast(3)
    #expect(try judged(cut, as: "dump").shipped == nil)
  }

  /// The counts of an RDB before commands are not those of the file.
  @Test func `a BASE with nothing in its RDB and commands behind it is not without keys`() throws {
    var check = GenerationCheck(kind: .base)
    let bytes = UnknownDataTests.rdb("REDIS0009", []) + UnknownDataTests.set
    bytes.withUnsafeBytes { check.consume($0) }
    let (verdict, summary) = check.finish()
    #expect(verdict == .good(remark: nil) && summary.flatMap { DatasetRecord($0) } == nil)
    var empty = GenerationCheck(kind: .base)
    let (good, none) = empty.finish()
    #expect(good == .good(remark: nil))
    #expect(none.flatMap { DatasetRecord($0) }?.isEmpty == true)
  }

  /// Files of servers that can't be installed here. They are beside the checkout. The tests above show what
  /// each sign proves.
  @Test(.enabled(if: ServerFixtures.exist, "no fixtures beside the checkout"))
  func `no file of a newer server is called broken or empty`() throws {
    for (name, folder) in ServerFixtures.all {
      let isBroken = try TestFiles.text(folder + "/expected.json").contains("\"isBroken\": true")
      let path = FilePath(folder + "/data")
      let facts = try DirectoryLook(path, names: ServerNames()).facts()
      let verdict = DataVerdict.judge(facts, appendOnly: .unknown)
      // Some of them are empty, as after FLUSHALL.
      if case .data = verdict {
      } else if !isBroken, !name.contains("-empty-") {
        Issue.record("\(name): \(verdict)")
      }
      let inspection = try DirectoryInspection.make(path, names: ServerNames())
      for file in inspection.files where !isBroken {
        #expect(!file.isBroken, "\(name) \(file.path): \(file.verdict)")
        if file.verdict.hasPrefix("unverified") {
          #expect(file.dataset == nil, "\(name): nobody knows how much it holds")
        }
      }
    }
  }

  /// The verdict and the counts of each fixture (`expected.json`).
  @Test(.enabled(if: ServerFixtures.exist, "no fixtures beside the checkout"))
  func `each file of a newer server has its verdict and its counts`() throws {
    struct Expected: Decodable {
      struct Count: Decodable {
        var keys: UInt64
        var elements: UInt64
      }
      struct Database: Decodable {
        var dbsize: UInt64
        var expires: UInt64
        var types: [String: Count]?
      }
      var isBroken: Bool?
      var databases: [String: Database]?
    }
    let unread: Set<String> = [
      "future-magic-dump", "future-opcode-dump", "future-type-dump", "future-version-dump",
      "valkey92-envelope2-dump", "valkey92-unknown-codec-dump",
    ]
    for (name, folder) in ServerFixtures.all {
      let expected = try JSONDecoder().decode(
        Expected.self, from: Data(TestFiles.read(folder + "/expected.json")))
      let inspection = try DirectoryInspection.make(
        FilePath(folder + "/data"), names: ServerNames())
      let isBroken = inspection.files.contains { $0.isBroken }
      #expect(isBroken == (expected.isBroken ?? false), "\(name)")
      if isBroken { continue }
      let isUnread = inspection.files.contains { $0.verdict.hasPrefix("unverified") }
      #expect(isUnread == unread.contains(name), "\(name): \(inspection.files.map(\.verdict))")
      guard !isUnread, inspection.files.count == 1, let file = inspection.files.first else {
        continue
      }
      guard let dataset = file.dataset else {
        #expect(
          name == "valkey91-slotimport-dump", "\(name): counted, unless keys of an import are in it"
        )
        continue
      }
      let databases = expected.databases ?? [:]
      #expect(dataset.keys == databases.values.reduce(0) { $0 + $1.dbsize }, "\(name)")
      for database in dataset.databases {
        let wanted = try #require(databases["\(database.number)"], "\(name)")
        #expect(database.expires == wanted.expires, "\(name)")
        for (type, count) in wanted.types ?? [:] {
          #expect(database.types[type]?.keys == count.keys, "\(name) \(type)")
          // A string has no elements here.
          if type != "string" {
            #expect(database.types[type]?.elements == count.elements, "\(name) \(type)")
          }
        }
      }
    }
  }
}
