import BackupTypes
import Testing

@testable import CloudAuth

@Suite struct XMLElementTests {
  @Test func readsElements() throws {
    let root = try XMLElement(
      parsing: Array(
        "<?xml version=\"1.0\"?><a xmlns=\"u\" k=\"v\">x<b>1 &amp; &#233;</b><p:c xmlns:p=\"q\"/><b><![CDATA[<2>]]></b>y</a>"
          .utf8))
    #expect(root.name == "a" && root.text == "xy")
    #expect(root.all("b").map(\.text) == ["1 & é", "<2>"])
    #expect(root["c"] != nil && root["d"] == nil)
  }

  @Test(arguments: [
    "", "text", "<a>", "<a></b>", "<a/><b/>", "<a>\u{1}</a>", "<!DOCTYPE a><a/>",
    "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "<a>&x;</a>",
  ])
  func refuses(_ text: String) { expectRefusal(text) }

  @Test func refusesWhatIsTooDeepOrTooMuch() {
    expectRefusal(String(repeating: "<a>", count: 17) + String(repeating: "</a>", count: 17))
    expectRefusal("<a>" + String(repeating: "<b/>", count: 100_000) + "</a>")
  }

  private func expectRefusal(_ text: String) {
    let error = #expect(throws: LifeboatError.self) { try XMLElement(parsing: Array(text.utf8)) }
    #expect(error?.code == .corrupt)
  }

  @Test func isTotalOnDamagedBytes() {
    let good = Array("<a><b>text</b><c>&#65;</c></a>".utf8)
    for position in good.indices {
      for byte: UInt8 in [0, 0x3c, 0x26, 0xff] {
        var bytes = good
        bytes[position] = byte
        _ = try? XMLElement(parsing: bytes)
      }
      _ = try? XMLElement(parsing: Array(good[..<position]))
    }
  }

  @Test func `attributes`() throws {
    let root = try XMLElement(parsing: Array("<a x=\"1\" y='&amp;é'><b/></a>".utf8))
    #expect(root.attributes == ["x": "1", "y": "&é"])
    #expect(root["b"]?.attributes.isEmpty == true)
  }
}
