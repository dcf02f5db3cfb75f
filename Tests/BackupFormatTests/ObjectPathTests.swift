import BackupFormat
import BackupTypes
import TestSupport
import Testing

@Suite struct ObjectPathTests {
  private let a = String(repeating: "a", count: 32)
  private let b = String(repeating: "b", count: 32)

  @Test("every name that is understood is printed as it was")
  func roundTrip() {
    let names = [
      "lifeboat.json", "keys/k-1", "generations/\(a)-\(b)/index",
      "generations/\(a)-\(b)/00000000-\(a)", "timelines/00000001/claim",
      "timelines/99999999/snapshots/00000001",
      "timelines/00000001/log/00000001/0000000000000000-9999999999999999-0000000000000-\(a)",
      "ops/pins/p1", "ops/releases/x", "ops/drills/x", "ops/quarantines/\(a)-\(b)",
      "ops/probes/\(a)-1",
    ]
    for name in names { #expect(ObjectPath(name)?.text == name, "\(name)") }
  }

  @Test("a hostile name is foreign")
  func hostile() {
    let span = "0000000000000000-0000000000000001-0000000000000-\(a)"
    let names = [
      "", "/", "//", ".", "..", "../lifeboat.json", "/lifeboat.json", "lifeboat.json/",
      "Lifeboat.json",
      "keys/", "keys/..", "keys/A", "keys/a/b", "keys/é",
      "keys/" + String(repeating: "k", count: 66),
      "keys/a\u{0}", "generations/\(a)/index", "generations/\(a)-\(b)/Index",
      "generations/\(a)-\(b)",
      "generations/\(a.uppercased())-\(b)/index", "generations/\(a)-\(b)-\(a)/index",
      "generations/../index", "generations/\(a)-\(b)/0-\(a)", "generations/\(a)-\(b)/-0000001-\(a)",
      "timelines/1/claim", "timelines/00000000/claim", "timelines/000000001/claim",
      "timelines/+0000001/claim", "timelines/００００００01/claim", "timelines/00000001/claim/",
      "timelines/00000001/snapshots/00000000", "timelines/00000001/snapshots/1",
      "timelines/00000001/log/00000000/\(span)", "timelines/00000001/log/00000001/../\(span)",
      "timelines/00000001/log/00000001/0000000000000001-0000000000000001-0000000000000-\(a)",
      "timelines/00000001/log/00000001/0000000000000002-0000000000000001-0000000000000-\(a)",
      "timelines/00000001/log/00000001/\(span)-",
      "timelines/00000001/log/00000001/\(span.dropLast())",
      "ops/pins/", "ops/pins/..", "ops/other/x", "ops/pins/X", "ops//x",
    ]
    for name in names { #expect(ObjectPath(name) == nil, "\(name)") }
  }

  @Test("whatever a mutated name parses as, printing gives it back")
  func mutated() {
    var random = SeededRandom(seed: 1)
    let source = Array(
      "timelines/00000001/log/00000001/0000000000000000-0000000000000001-0000000000000-\(a)".utf8)
    let alphabet = Array("0123456789abcdefABF/-.+é \u{0}".utf8)
    for _ in 0..<20_000 {
      var copy = source
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let at = Int.random(in: 0..<copy.count, using: &random)
        let byte = alphabet.randomElement(using: &random)!
        if Bool.random(using: &random) { copy[at] = byte } else { copy.insert(byte, at: at) }
      }
      let name = String(decoding: copy, as: UTF8.self)
      if let parsed = ObjectPath(name) { #expect(Array(parsed.text.utf8) == copy) }
    }
  }
}
