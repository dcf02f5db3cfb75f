import RedisFormats
import Testing

struct AOFManifestTests {
  @Test func readsWhatRedis8WritesDuringARewrite() throws {
    let manifest = try AOFManifest(
      parsing: bytes(
        """
        file appendonly.aof.1.base.rdb seq 1 type b
        file appendonly.aof.9.incr.aof seq 9 type h
        file appendonly.aof.1.incr.aof seq 1 type i startoffset 0
        file appendonly.aof.2.incr.aof seq 2 type i startoffset 2000 endoffset 9

        """))
    #expect(manifest.base?.file == "appendonly.aof.1.base.rdb")
    #expect(manifest.increments.map(\.sequence) == [1, 2])
    #expect(manifest.entries.count == 4)
    #expect(
      String(decoding: manifest.encoded(), as: UTF8.self) == """
        file appendonly.aof.1.base.rdb seq 1 type b
        file appendonly.aof.1.incr.aof seq 1 type i
        file appendonly.aof.2.incr.aof seq 2 type i

        """)
  }

  @Test(
    arguments: [
      (#"file "my base.rdb" seq 7 type b"#, "my base.rdb"),
      (#"FILE a seq 7 Type base"#, "a"), ("seq 7\ttype b  file a\r", "a"),
      (#"file 'it\'s' seq 7 type b"#, "it's"),
      (#"file "a\x41\t\"\q" seq 7 type b"#, "aA\t\"q"), (#"file x"y" seq 7 type b"#, "xy"),
      ("unknown 1 file a seq 7 other 2 type b", "a"), ("file b seq 1 file a seq 7 type b", "a"),
      ("file ünï seq +7x type b", "ünï"), ("file ..a seq 7 type b", "..a"),
    ])
  func readsOneLine(_ line: String, file: String) throws {
    let manifest = try AOFManifest(parsing: bytes("#comment\n" + line + "\n"))
    #expect(manifest.entries == [.init(file: file, sequence: 7, kind: .base)])
    #expect(try AOFManifest(parsing: manifest.encoded()) == manifest)
  }

  @Test func takesACommentWithoutLFAtTheEnd() throws {
    #expect(try AOFManifest(parsing: bytes(AOFManifestTests.good + "#x")).entries.count == 1)
    #expect(try AOFManifest(parsing: bytes("#x\n")).entries.isEmpty)
  }

  private static let good = "file b seq 1 type b\n"
  private static let malformed: [(String, Int, String)] = [
    ("\n", 1, "a blank line"), (" \t\r\n", 1, "a blank line"),
    (good + "\n" + good, 2, "a blank line"),
    ("file b seq 1 type b", 1, "the last line does not end in LF"),
    (good + "file", 2, "the last line does not end in LF"),
    (#"file "a\\b" seq 1 type b"# + "\n", 1, "is a path"),
    ("file\u{b}a seq 1 type b\n", 1, "a key without its value"),
    (good + good, 2, "a second base"),
    ("file a seq 1 type i\nfile b seq 1 type i\n", 2, "do not increase"),
    ("file a seq 2 type i\nfile b seq 1 type i\n", 2, "do not increase"),
    ("file a seq -1 type i\n", 1, "do not increase"),
    ("file a seq 0 type b\n", 1, "the sequence number is 0"),
    ("file a seq x type b\n", 1, "the sequence number is 0"),
    ("file a seq 1 type x\n", 1, "unknown file type"),
    ("file a seq 1 type B\n", 1, "unknown file type"),
    ("file a seq 1 type \"\"\n", 1, "unknown file type"),
    ("file a seq 1\n", 1, "is missing"), ("file a file b file c\n", 1, "is missing"),
    ("file a seq 1 type b x\n", 1, "a key without its value"),
    ("file a seq 1 type\n", 1, "a key without its value"),
    ("file ./a seq 1 type b\n", 1, "is a path"), ("file /a seq 1 type b\n", 1, "is a path"),
    ("file a/b seq 1 type b\n", 1, "is a path"), ("file ../b seq 1 type i\n", 1, "is a path"),
    ("file . seq 1 type b\n", 1, "has no name"), ("file .. seq 1 type b\n", 1, "has no name"),
    ("file \"\" seq 1 type b\n", 1, "has no name"),
    ("file \"a seq 1 type b\n", 1, "unbalanced quotes"),
    ("file 'a seq 1 type b\n", 1, "unbalanced quotes"),
    ("file \"a\"b seq 1 type b\n", 1, "unbalanced quotes"),
    ("file a\0 seq 1 type b\n", 1, "a NUL byte"),
    ("file \"a\\x00\" seq 1 type b\n", 1, "contains a NUL byte"),
    ("file \"a\\xff\" seq 1 type b\n", 1, "not valid UTF-8"),
    ("#" + String(repeating: "x", count: 1024) + "\n", 1, "longer than 1024"),
    (good + "file a seq 1 type i x " + String(repeating: "x", count: 1002) + "\n", 2, "longer"),
  ]

  @Test(arguments: malformed.indices)
  func refuses(_ index: Int) {
    let (text, line, reason) = AOFManifestTests.malformed[index]
    do throws(AOFManifestFault) {
      _ = try AOFManifest(parsing: bytes(text))
      Issue.record("accepted \(text)")
    } catch {
      #expect(error.line == line)
      #expect(error.reason.contains(reason), "\(error.reason)")
      #expect(!error.isEmpty)
    }
  }

  @Test func saysWhenTheFileIsEmpty() {
    #expect(throws: AOFManifestFault(line: 1, reason: "the manifest is empty", isEmpty: true)) {
      try AOFManifest(parsing: [])
    }
  }

  @Test func takesALineOf1024Bytes() throws {
    let start = "file a seq 1 type i x "
    let line = start + String(repeating: "x", count: 1023 - start.utf8.count) + "\n"
    #expect(try AOFManifest(parsing: bytes(line)).entries.count == 1)
  }

  @Test(arguments: ["a b", "'a", "a\"b", "ü", "a\nb", "#x", " ", "a\u{7f}"])
  func quotesNamesSoThatTheyAreReadBack(_ name: String) throws {
    let manifest = AOFManifest(entries: [.init(file: name, sequence: 3, kind: .increment)])
    #expect(try AOFManifest(parsing: manifest.encoded()) == manifest)
  }
}
