import CloudAuth

/// Where requests for a bucket go: pure.
struct S3Address: Sendable {
  /// The variant of AWS's host names to use.
  struct Variant: Sendable, Hashable {
    var usesFIPS = false
    var usesDualStack = false
  }

  /// Used if nothing is configured and nothing was learned yet: its answers say the region of every bucket.
  static let firstRegion = "us-east-1"

  let bucket: String
  let endpoint: String?
  let usesPathStyle: Bool
  let variant: Variant

  init(_ location: S3Location, endpoint: String?, variant: Variant) {
    bucket = location.bucket
    self.endpoint = endpoint
    // The name is not a valid host name, or has a dot, which no wildcard certificate covers.
    let isHostName = bucket.utf8.allSatisfy {
      (97...122).contains($0) || (48...57).contains($0) || $0 == 45
    }
    usesPathStyle = location.usesPathStyle ?? (endpoint != nil || !isHostName)
    self.variant = variant
  }

  /// Scheme and authority, and the percent-encoded path.
  ///
  /// - Parameter key: nil: the bucket itself.
  func target(key: String?, region: String) -> (origin: String, path: String) {
    let base = endpoint ?? awsEndpoint(region)
    let hostStart = base.firstRange(of: "://")!.upperBound
    let slash = base[hostStart...].firstIndex(of: "/") ?? base.endIndex
    let host = base[hostStart..<slash]
    let basePath = base[slash...]
    let encoded = key.map { "/" + URIEncoding.encode($0, keepingSlashes: true) } ?? ""
    if usesPathStyle { return (String(base[..<slash]), "\(basePath)/\(bucket)\(encoded)") }
    let path = String(basePath) + encoded
    return ("\(base[..<hostStart])\(bucket).\(host)", path.isEmpty ? "/" : path)
  }

  private func awsEndpoint(_ region: String) -> String {
    let service = variant.usesFIPS ? "s3-fips" : "s3"
    let stack = variant.usesDualStack ? ".dualstack" : ""
    return "https://\(service)\(stack).\(region).\(AWSPartition(region: region).dnsSuffix)"
  }
}
