/// A separate part of AWS, with its own host names and roles.
///
/// The list is that of `partitions.json` in AWS's SDKs; a region with none of these prefixes belongs to the
/// common partition.
package struct AWSPartition: Sendable, Hashable {
  /// `aws`, as in `arn:aws:…`.
  package var name: String
  /// `amazonaws.com`.
  package var dnsSuffix: String
  /// The region of the partition's global names.
  package var homeRegion: String

  private static let common = AWSPartition(
    name: "aws", dnsSuffix: "amazonaws.com", homeRegion: "us-east-1")
  private static let others: [(prefix: String, partition: AWSPartition)] = [
    ("cn-", AWSPartition(name: "aws-cn", dnsSuffix: "amazonaws.com.cn", homeRegion: "cn-north-1")),
    (
      "us-gov-",
      AWSPartition(name: "aws-us-gov", dnsSuffix: "amazonaws.com", homeRegion: "us-gov-west-1")
    ),
    (
      "us-iso-", AWSPartition(name: "aws-iso", dnsSuffix: "c2s.ic.gov", homeRegion: "us-iso-east-1")
    ),
    (
      "us-isob-",
      AWSPartition(name: "aws-iso-b", dnsSuffix: "sc2s.sgov.gov", homeRegion: "us-isob-east-1")
    ),
    (
      "eu-isoe-",
      AWSPartition(name: "aws-iso-e", dnsSuffix: "cloud.adc-e.uk", homeRegion: "eu-isoe-west-1")
    ),
    (
      "us-isof-",
      AWSPartition(name: "aws-iso-f", dnsSuffix: "csp.hci.ic.gov", homeRegion: "us-isof-south-1")
    ),
    (
      "eusc-",
      AWSPartition(name: "aws-eusc", dnsSuffix: "amazonaws.eu", homeRegion: "eusc-de-east-1")
    ),
  ]

  package init(region: String) {
    self = AWSPartition.others.first { region.hasPrefix($0.prefix) }?.partition ?? .common
  }

  /// The partition of a role or key: `arn:aws-cn:iam::…`.
  package init(arn: String) {
    let fields = arn.split(separator: ":", omittingEmptySubsequences: false)
    let name = fields.count > 1 ? String(fields[1]) : "aws"
    self = AWSPartition.others.first { $0.partition.name == name }?.partition ?? .common
  }

  private init(name: String, dnsSuffix: String, homeRegion: String) {
    self.name = name
    self.dnsSuffix = dnsSuffix
    self.homeRegion = homeRegion
  }
}

/// Where a region name came from.
package struct AWSRegion: Sendable, Hashable {
  package var name: String
  /// For messages: `AWS_REGION`, `the profile default`.
  package var origin: String

  package init(name: String, origin: String) {
    self.name = name
    self.origin = origin
  }

  /// The region that AWS's tools would use; nil if none is configured.
  package static func configured(_ settings: AWSSettings) throws -> AWSRegion? {
    for variable in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
      if let name = settings[variable] { return AWSRegion(name: name, origin: variable) }
    }
    let profile = settings.profileName
    return try settings.sharedConfiguration().profile(profile)?["region"].map {
      AWSRegion(name: $0, origin: "the profile \(profile)")
    }
  }

  /// Whether a text is a valid region, which becomes a part of a host name.
  package static func isName(_ text: String) -> Bool {
    (1...40).contains(text.utf8.count) && text.utf8.first != UInt8(ascii: "-")
      && text.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
  }
}
