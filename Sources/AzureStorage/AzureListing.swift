import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage

/// A page of a List Blobs reply, read and checked: pure.
struct AzureListing {
  /// Arithmetic: 1000 names of 1024 bytes, each byte escaped as six, and 2 KiB about each: 8 MiB.
  static let bytesMax = 16 << 20

  /// With full names.
  var entries: [ObjectEntry] = []
  /// nil after the last page.
  var next: String?

  /// - Throws: `.storeUnavailable`, retryable, for a reply that is not a complete page: concluding
  ///   anything from it could make objects look absent.
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
      // With a hierarchical namespace directories are listed, too.
      if properties["ResourceType"]?.text == "directory" { continue }
      guard let size = properties["Content-Length"].flatMap({ Int($0.text) }), size >= 0,
        let modified = properties["Last-Modified"].flatMap({ Instant(httpDate: $0.text) })
      else { throw AzureListing.unreadable("the size or the time of an entry is invalid") }
      // A name with characters that XML has not is percent-encoded, and marked.
      let isEncoded = name.attributes["Encoded"] == "true"
      guard let decoded = isEncoded ? URIEncoding.decode(name.text) : name.text else {
        throw AzureListing.unreadable("a name is not decodable")
      }
      entries.append(ObjectEntry(name: decoded, size: size, modified: modified))
    }
    guard let marker = root["NextMarker"]?.text else {
      throw AzureListing.unreadable("it does not say whether it is complete")
    }
    next = marker.isEmpty ? nil : marker
  }

  private static func unreadable(_ cause: String) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, "the store's listing is invalid", cause: cause, isRetryable: true)
  }
}
