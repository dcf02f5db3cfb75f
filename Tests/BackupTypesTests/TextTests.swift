import BackupTypes
import Testing

@Suite struct TextTests {
  @Test(arguments: [
    ("list", "list", 0), ("lst", "list", 1), ("restroe", "restore", 2), ("", "list", 4),
    ("list", "", 4), ("kitten", "sitting", 3),
  ])
  func `edit distance`(_ a: String, _ b: String, _ distance: Int) {
    #expect(editDistance(a, b) == distance)
  }

  @Test("hexadecimal has one spelling for a value")
  func hex() {
    let all = (0...255).map { UInt8($0) }
    #expect(bytes(hexadecimal: hexadecimal(all)) == all)
    #expect(bytes(hexadecimal: "") == [])
    for text in ["a", "0A", "g0", " 00", "0x00", "é", "００"] {
      #expect(bytes(hexadecimal: text) == nil, "\(text)")
    }
  }

  @Test("numbers are filled to a width and never cut")
  func fixedWidth() {
    #expect(decimal(7, width: 3) == "007")
    #expect(decimal(1234, width: 3) == "1234")
    #expect(decimal(UInt64.max, width: 2) == "18446744073709551615")
  }

  @Test("sizes and times for people")
  func human() {
    #expect(humanBytes(0) == "0 B")
    #expect(humanBytes(1023) == "1023 B")
    #expect(humanBytes(4 << 20) == "4.0 MiB")
    for (unit, name) in [(20, "MiB"), (30, "GiB"), (40, "TiB"), (50, "PiB")] {
      #expect(humanBytes((1 << unit) - 1) == "1.0 \(name)")
      #expect(humanBytes(1 << unit) == "1.0 \(name)")
    }
    #expect(humanBytes(1023 << 10) == "1023.0 KiB")
    #expect(humanBytes(UInt64.max).hasSuffix(" PiB"))
    #expect(humanDuration(milliseconds: 0) == "0 s")
    #expect(humanDuration(milliseconds: 1400) == "1.4 s")
    #expect(humanDuration(milliseconds: 200_000) == "3 min 20 s")
    #expect(humanDuration(milliseconds: 7_500_000) == "2 h 5 min")
    #expect(humanDuration(milliseconds: 273_600_000) == "3 d 4 h")
    #expect(humanDuration(milliseconds: -60_000) == "-1 min")
    #expect(humanDuration(milliseconds: .min).hasPrefix("-"))
  }

  @Test("a hostile name can't move the cursor or fill the screen")
  func printableNames() {
    #expect(printable("a\u{1b}[2Jb\n") == "a\\u{1b}[2Jb\\u{a}")
    #expect(printable("é") == "\\u{e9}")
    #expect(printable(String(repeating: "x", count: 5000)).count == 201)
    #expect(printable("a\u{202e}b") == "a\\u{202e}b")
  }

  @Test func `a count agrees with its noun`() {
    #expect(counted(0, "key") == "0 keys")
    #expect(counted(1, "key") == "1 key")
    #expect(counted(UInt64(2), "entry", "entries") == "2 entries")
    #expect(counted(1, "entry", "entries") == "1 entry")
  }
}
