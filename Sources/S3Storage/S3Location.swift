package import BackupTypes
import CloudAuth
import ObjectStorage

/// What a repository URL says: `s3://bucket/prefix?endpoint=…&region=…`.
package struct S3Location: Sendable, Hashable {
  package enum Encryption: Sendable, Hashable {
    /// `?sse=AES256`: keys that S3 manages.
    case managed
    /// `?sse=aws:kms` or `aws:kms:dsse`, with the key's id or ARN; nil: the account's default key.
    case kms(algorithm: String, key: String?)
  }

  package var bucket: String
  /// Without "/" at either end; may be empty.
  package var prefix: String
  /// `https://host:port/path` without a "/" at its end; nil: AWS's own.
  package var endpoint: String?
  package var region: String?
  /// nil: path style with an endpoint, else by virtual host.
  package var usesPathStyle: Bool?
  /// nil: as the bucket is set up.
  package var encryption: Encryption?
  package var storageClass: String?
  package var isAnonymous = false
  /// `?allow-http=true`: an endpoint over plain HTTP may be anywhere.
  package var allowsHTTP = false

  /// For messages; without options.
  package var description: String {
    "s3://" + printable(bucket) + (prefix.isEmpty ? "" : "/" + printable(prefix))
  }

  /// The options, in the order in which messages list them.
  package static let options = [
    "endpoint", "region", "path-style", "sse", "kms-key", "storage-class", "anonymous",
    "allow-http",
  ]

  /// - Throws: `.usage` with what is wrong.
  package init(url: String) throws(LifeboatError) {
    let parts = try BucketURL(url, scheme: "s3", options: S3Location.options)
    bucket = parts.bucket
    prefix = parts.prefix
    endpoint = try parts.endpoint()
    if let value = parts["region"] {
      guard AWSRegion.isName(value) else {
        throw parts.error("the region is not a valid region name")
      }
      region = value
    }
    usesPathStyle = try parts.flag("path-style")
    isAnonymous = try parts.flag("anonymous") ?? false
    allowsHTTP = try parts.flag("allow-http") ?? false
    encryption = try S3Location.encryption(parts)
    storageClass = try parts["storage-class"].map { value throws(LifeboatError) in
      try S3Location.storageClass(value, parts)
    }
  }

  /// Checks an endpoint, from wherever it was taken.
  static func endpoint(_ text: String) throws(LifeboatError) -> String {
    try BucketURL.endpoint(text, scheme: "s3", options: options)
  }

  /// Over plain HTTP anyone in the network in between can read what is not encrypted, change it, and pretend
  /// to be the store. So it is allowed only for a store on this machine or in this cluster, or if the user
  /// asks for it.
  func check(_ endpoint: String?) throws(LifeboatError) {
    guard let endpoint, !allowsHTTP, endpoint.lowercased().hasPrefix("http://") else { return }
    let authority = endpoint.dropFirst("http://".count).prefix { $0 != "/" }.lowercased()
    let host =
      authority.hasPrefix("[")
      ? String(authority.dropFirst().prefix { $0 != "]" })
      : String(authority.prefix { $0 != ":" })
    guard !S3Location.isNear(host) else { return }
    throw LifeboatError(
      .usage, "\(description) is not used over plain http:// at \(printable(host))",
      cause: "anyone in the network in between can read and change the data",
      hint:
        "give an endpoint with https://; if the network in between is trusted, add allow-http=true to the URL"
    )
  }

  /// This machine, or a Service of a cluster: a name without a dot, or one below `svc` or `cluster.local`.
  private static func isNear(_ host: String) -> Bool {
    if host == "localhost" || host.hasSuffix(".localhost") || host == "::1" { return true }
    if host.hasPrefix("127."), host.allSatisfy({ $0.isASCII && $0.isNumber || $0 == "." }) {
      return true
    }
    return !host.contains(".") && !host.contains(":") && !host.allSatisfy(\.isNumber)
      || host.hasSuffix(".svc") || host.hasSuffix(".cluster.local")
  }

  private static func encryption(
    _ parts: BucketURL
  ) throws(LifeboatError) -> Encryption? {
    let key = parts["kms-key"]
    if let key, !key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) {
      throw parts.error("kms-key must be the id, ARN or alias of a key")
    }
    let name = parts["sse"]
    switch name {
    case nil: return key.map { .kms(algorithm: "aws:kms", key: $0) }
    case "AES256":
      guard key == nil else { throw parts.error("kms-key needs sse=aws:kms") }
      return .managed
    case "aws:kms", "aws:kms:dsse": return .kms(algorithm: name!, key: key)
    default: throw parts.error("sse must be AES256, aws:kms or aws:kms:dsse")
    }
  }

  private static func storageClass(
    _ name: String, _ parts: BucketURL
  ) throws(LifeboatError) -> String {
    guard name.utf8.allSatisfy({ (65...90).contains($0) || (48...57).contains($0) || $0 == 95 })
    else { throw parts.error("a storage class looks like STANDARD_IA") }
    guard !["GLACIER", "DEEP_ARCHIVE"].contains(name) else {
      throw parts.error("objects in the class \(name) can't be read without retrieving them first")
    }
    return name
  }
}
