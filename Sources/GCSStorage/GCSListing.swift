import BackupTypes
import FoundationEssentials
package import ObjectStorage

/// A page of an `objects.list` reply, read and checked: pure.
package struct GCSListing: BucketListing {
  /// The requested fields.
  static let fields = "kind,nextPageToken,prefixes,items(name,size,timeCreated)"
  /// 1000 names of 1024 bytes, each byte escaped as six, and 1 KiB more for each: 7 MiB.
  static let bytesMax = 16 << 20

  package private(set) var entries: [ObjectEntry] = []
  package private(set) var commonPrefixes: [String] = []
  package private(set) var next: String?

  private struct Reply: Decodable {
    struct Item: Decodable {
      var name: String
      /// 64-bit numbers are texts in Google's JSON.
      var size: String
      /// The creation time of the current generation; `updated` also changes with an object's metadata.
      var timeCreated: String
    }
    var kind: String
    var nextPageToken: String?
    /// Absent when there is none.
    var items: [Item]?
    var prefixes: [String]?
  }

  /// - Throws: `.storeUnavailable`, retryable, if the reply is not a complete page. Trusting a partial page
  ///   could make objects look absent.
  init(_ body: [UInt8]) throws(LifeboatError) {
    guard let reply = try? JSONDecoder().decode(Reply.self, from: Data(body)) else {
      throw GCSListing.unreadable("it is not the expected JSON")
    }
    guard reply.kind == "storage#objects" else {
      throw GCSListing.unreadable("it is a \(printable(reply.kind))")
    }
    for item in reply.items ?? [] {
      guard let size = Int(item.size), size >= 0,
        let created = try? Instant(parsing: item.timeCreated, now: Instant(milliseconds: 0))
      else { throw GCSListing.unreadable("the size or the time of an entry is invalid") }
      entries.append(ObjectEntry(name: item.name, size: size, modified: created))
    }
    commonPrefixes = reply.prefixes ?? []
    next = reply.nextPageToken.flatMap { $0.isEmpty ? nil : $0 }
  }

  private static func unreadable(_ cause: String) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, "the store's listing is invalid", cause: cause, isRetryable: true)
  }
}
