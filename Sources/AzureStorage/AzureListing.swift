import BackupTypes
import CloudAuth
import HTTPTransport
package import ObjectStorage

/// One page of a List Blobs reply, parsed and checked. Pure.
package struct AzureListing: BucketListing {
  /// 1000 names of 1024 bytes, each byte escaped as six, plus 2 KiB per entry: 8 MiB.
  static let bytesMax = 16 << 20

  package private(set) var entries: [ObjectEntry] = []
  package private(set) var commonPrefixes: [String] = []
  package private(set) var next: String?

  /// - Throws: `.storeUnavailable`, retryable, if the reply is not a complete page. Trusting a partial page
  ///   could make objects look absent.
  init(_ body: [UInt8]) throws(LifeboatError) {
    let root: XMLElement
    do throws(LifeboatError) {
      root = try XMLElement(parsing: body)
    } catch {
      throw AzureListing.unreadable(error.cause ?? error.message)
    }
    guard root.name == "EnumerationResults", let blobs = root["Blobs"] else {
      throw AzureListing.unreadable("it is a \(printable(root.name))")
    }
    for item in blobs.all("Blob") {
      guard let name = item["Name"], let properties = item["Properties"] else {
        throw AzureListing.unreadable("an entry lacks its name or its properties")
      }
      // With a hierarchical namespace, the listing includes directories.
      if properties["ResourceType"]?.text == "directory" { continue }
      guard let size = properties["Content-Length"].flatMap({ Int($0.text) }), size >= 0,
        let modified = properties["Last-Modified"].flatMap({ Instant(httpDate: $0.text) })
      else { throw AzureListing.unreadable("the size or the time of an entry is invalid") }
      entries.append(
        ObjectEntry(name: try AzureListing.decoded(name), size: size, modified: modified))
    }
    for item in blobs.all("BlobPrefix") {
      guard let name = item["Name"] else {
        throw AzureListing.unreadable("a prefix lacks its name")
      }
      commonPrefixes.append(try AzureListing.decoded(name))
    }
    guard let marker = root["NextMarker"]?.text else {
      throw AzureListing.unreadable("it does not say whether it is complete")
    }
    next = marker.isEmpty ? nil : marker
  }

  /// A name with characters that XML can't represent is percent-encoded and marked as such.
  private static func decoded(_ name: XMLElement) throws(LifeboatError) -> String {
    let isEncoded = name.attributes["Encoded"] == "true"
    guard let text = isEncoded ? URIEncoding.decode(name.text) : name.text else {
      throw unreadable("a name is not decodable")
    }
    return text
  }

  private static func unreadable(_ cause: String) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, "the store's listing is invalid", cause: cause, isRetryable: true)
  }
}
