import BackupFormat
import BackupTypes
import FoundationEssentials
import Testing

/// `docs/format.md` names exactly the fields of all records. The golden records contain all of them.
@Suite struct DocumentedFieldsTests {
  /// Words in code style in section 3 that are not fields: values, file names, and the parts of a
  /// fingerprint.
  private static let noFields: Set<String> = [
    "none", "aes", "gcm", "lifeboat", "json", "REDIS", "VALKEY", "rdb", "aof", "empty",
    "smaller", "older", "good", "unverified", "start", "drop", "claim", "doctor", "list", "verify",
  ]

  @Test func `every field of a record is documented, and every documented one is a field`() throws {
    let golden = GoldenRecords(.none)
    var fields = try names(RecordCoding.encode(golden.descriptor))
    for (_, kind, content) in try golden.objects() where kind != .piece && kind != .log {
      fields.formUnion(try names(content))
    }
    // Fields that release 0.1.0 did not write.
    var claim = golden.claims[0]
    claim.place = Claim.Place(boot: "b", device: "259:3", volume: "v")
    fields.formUnion(try names(RecordCoding.encode(claim)))
    fields.formUnion(try names(RecordCoding.encode(emptyBase())))
    var pin = golden.pin
    pin.name = "before-migration"
    fields.formUnion(try names(RecordCoding.encode(pin)))
    let documented = try documentedWords()
    #expect(
      fields.subtracting(documented).sorted() == [], "fields that docs/format.md does not name")
    #expect(
      documented.subtracting(fields).subtracting(DocumentedFieldsTests.noFields).sorted() == [],
      "fields of docs/format.md that no record has")
  }

  /// Records that no golden snapshot has: of a server with an empty BASE, and of a replicated one.
  private func emptyBase() -> Snapshot {
    let form = AOFForm.multiPart(directory: "d", manifest: "m")
    let base = Snapshot.Base(
      generation: GoldenRecords(.none).indexes[0].generation, file: "a", sequence: 1, isEmpty: true)
    var snapshot = GoldenRecords(.none).snapshots[0]
    snapshot.chain = Snapshot.Chain(form: form, base: base, files: [])
    snapshot.detached = Snapshot.Detached(
      form: form, awaitedBase: "a", files: [], isBaseEmpty: true)
    snapshot.link = Snapshot.Link(id: String(repeating: "a", count: 40), offset: 1)
    return snapshot
  }

  /// The names of the fields at every depth. The names under `types` are Redis's.
  private func names(_ json: [UInt8]) throws -> Set<String> {
    try JSONDecoder().decode(Shape.self, from: Data(json)).names
  }

  private struct Shape: Decodable {
    private(set) var names: Set<String> = []

    private struct Key: CodingKey {
      let stringValue: String
      var intValue: Int? { nil }
      init?(stringValue: String) { self.stringValue = stringValue }
      init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
      if let object = try? decoder.container(keyedBy: Key.self) {
        for key in object.allKeys {
          names.insert(key.stringValue)
          if key.stringValue == "types" {
            for kind in try object.decode([String: Shape].self, forKey: key).values {
              names.formUnion(kind.names)
            }
          } else {
            names.formUnion(try object.decode(Shape.self, forKey: key).names)
          }
        }
      } else if var list = try? decoder.unkeyedContainer() {
        while !list.isAtEnd { names.formUnion(try list.decode(Shape.self).names) }
      }
    }
  }

  /// The words in code style in section 3, and in the paragraph about the key slot before it.
  private func documentedWords() throws -> Set<String> {
    let here = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let text = String(decoding: try bytes(of: "/\(here)/docs/format.md"), as: UTF8.self)
    let start = try #require(text.firstRange(of: "\n## 3. Records\n")).upperBound
    let end = try #require(text.firstRange(of: "\n## 4. ")).lowerBound
    let slot = try #require(text.firstRange(of: "A key slot is a record `")).upperBound
    let code =
      text[start..<end].split(separator: "`", omittingEmptySubsequences: false).enumerated()
      .filter { $0.offset % 2 == 1 }.map(\.element) + [text[slot...].prefix { $0 != "`" }]
    return Set(code.flatMap { $0.split { !$0.isLetter && $0 != "_" }.map(String.init) })
  }

  private func bytes(of path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(filePath: path)))
  }
}
