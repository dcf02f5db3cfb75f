import BackupTypes
import CloudAuth
package import ObjectStorage

/// A page of a ListObjectsV2 reply, read and checked: pure.
package struct S3Listing: BucketListing {
  /// 1000 keys of 1024 bytes, each byte encoded as three, and 1 KiB more for each: 4 MiB.
  static let bytesMax = 16 << 20

  package private(set) var entries: [ObjectEntry] = []
  package private(set) var commonPrefixes: [String] = []
  package private(set) var next: String?
  /// Whether a key held a "+" in URL-encoding: in S3 it stands for a space, in other stores for a plus.
  var isAmbiguous = false

  /// - Throws: `.storeUnavailable`, retryable, if the reply is not a complete page. Trusting a partial page
  ///   could make objects look absent.
  init(_ body: [UInt8]) throws(LifeboatError) {
    let root: XMLElement
    do throws(LifeboatError) {
      root = try XMLElement(parsing: body)
    } catch {
      throw S3Listing.unreadable(error.cause ?? error.message)
    }
    guard root.name == "ListBucketResult" else {
      throw S3Listing.unreadable("it is a \(printable(root.name))")
    }
    let isEncoded = root["EncodingType"]?.text == "url"
    for item in root.all("Contents") {
      guard let key = item["Key"]?.text, let size = item["Size"].flatMap({ Int($0.text) }),
        size >= 0, let time = item["LastModified"]?.text, let modified = S3Listing.instant(time)
      else { throw S3Listing.unreadable("an entry lacks its key, size or time") }
      guard let decoded = isEncoded ? URIEncoding.decode(key, plusIsSpace: true) : key else {
        throw S3Listing.unreadable("a key is not decodable")
      }
      if isEncoded, key.utf8.contains(UInt8(ascii: "+")) { isAmbiguous = true }
      entries.append(ObjectEntry(name: decoded, size: size, modified: modified))
    }
    for item in root.all("CommonPrefixes") {
      guard let prefix = item["Prefix"]?.text,
        let decoded = isEncoded ? URIEncoding.decode(prefix, plusIsSpace: true) : prefix
      else { throw S3Listing.unreadable("a common prefix is not decodable") }
      if isEncoded, prefix.utf8.contains(UInt8(ascii: "+")) { isAmbiguous = true }
      commonPrefixes.append(decoded)
    }
    switch root["IsTruncated"]?.text {
    case "false": next = nil
    case "true":
      guard let token = root["NextContinuationToken"]?.text, !token.isEmpty else {
        throw S3Listing.unreadable("it is truncated, and has no continuation token")
      }
      next = token
    default: throw S3Listing.unreadable("it does not say whether it is complete")
    }
  }

  private static func instant(_ text: String) -> Instant? {
    try? Instant(parsing: text, now: Instant(milliseconds: 0))
  }

  private static func unreadable(_ cause: String) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, "the store's listing is invalid", cause: cause, isRetryable: true)
  }
}
