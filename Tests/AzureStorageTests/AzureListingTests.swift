import BackupTypes
import ObjectStorage
import Testing

@testable import AzureStorage

@Suite struct AzureListingTests {
  private func page(_ blobs: String, marker: String = "<NextMarker />") -> [UInt8] {
    Array(
      ("\u{feff}<?xml version=\"1.0\""
        + " encoding=\"utf-8\"?><EnumerationResults><Blobs>\(blobs)</Blobs>"
        + marker + "</EnumerationResults>").utf8)
  }

  private func blob(_ name: String, _ more: String = "") -> String {
    "<Blob>\(name)<Properties><Last-Modified>Sat, 28 Nov 2026 04:00:00"
      + " GMT</Last-Modified><Content-Length>5</Content-Length>\(more)</Properties></Blob>"
  }

  @Test func `names as they are, encoded ones decoded, and no directories`() throws {
    let listing = try AzureListing(
      page(
        blob("<Name>a%20b/c+d &amp; é</Name>") + blob("<Name Encoded=\"true\">x%07%2By</Name>")
          + blob("<Name>dir</Name>", "<ResourceType>directory</ResourceType>")
          + blob("<Name Encoded=\"false\">f</Name>", "<ResourceType>file</ResourceType>"),
        marker: "<NextMarker>2!8!AA--</NextMarker>"))
    #expect(listing.entries.map(\.name) == ["a%20b/c+d & é", "x\u{7}+y", "f"])
    #expect(listing.entries.allSatisfy { $0.size == 5 })
    #expect(listing.entries[0].modified.description == "2026-11-28T04:00:00Z")
    #expect(listing.next == "2!8!AA--")
    #expect(try AzureListing(page("")).next == nil)
  }

  @Test func `what is no complete page`() {
    let whole = blob("<Name>a</Name>")
    for body in [
      [], Array("<html></html>".utf8), page(whole, marker: ""), page("<Blob><Name>a</Name></Blob>"),
      page(blob("")), page(blob("<Name Encoded=\"true\">%zz</Name>")),
      Array(page(whole).dropLast(20)),
      page(whole.replacing("GMT", with: "CET")), page(whole.replacing(">5<", with: ">-5<")),
      Array("<EnumerationResults><NextMarker/></EnumerationResults>".utf8),
    ] as [[UInt8]] {
      let error = #expect(throws: LifeboatError.self) { try AzureListing(body) }
      #expect(error?.isRetryable == true, "\(String(decoding: body, as: UTF8.self))")
    }
  }
}
