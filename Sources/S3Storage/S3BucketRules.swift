package import BackupTypes
package import CloudAuth

/// What a bucket itself does to objects, judged for a prefix. Pure.
///
/// From the replies of GetBucketLifecycleConfiguration, GetBucketVersioning and GetObjectLockConfiguration
/// (Amazon S3 API Reference).
package struct S3BucketRules {
  /// Storage classes whose objects have to be thawed before they can be read.
  private static let frozen: Set<String> = ["GLACIER", "DEEP_ARCHIVE"]

  package let prefix: String

  package init(prefix: String) { self.prefix = prefix }

  /// Retention can't see a rule that deletes our objects, so it is reported here.
  package func lifecycle(_ root: XMLElement) -> [Finding] {
    let rules = root.all("Rule").filter { $0["Status"]?.text == "Enabled" && concerns($0) }
    var findings: [Finding] = []
    for rule in rules {
      let name = printable(rule["ID"]?.text ?? "without a name")
      if let expiration = rule["Expiration"],
        let when = expiration["Days"]?.text ?? expiration["Date"]?.text
      {
        findings.append(
          Finding(
            .bucket, "lifecycle", .failed,
            "the rule \(name) deletes objects of this prefix (\(printable(when))"
              + (expiration["Days"] == nil ? ")" : " days)"),
            consequence:
              "it expires objects that the newest restore point needs, so the backup can't be restored",
            remedy: "disable the rule, or exclude the prefix; Lifeboat applies its own retention"))
      }
      for transition in rule.all("Transition") {
        guard let target = transition["StorageClass"]?.text, S3BucketRules.frozen.contains(target)
        else { continue }
        findings.append(
          Finding(
            .bucket, "lifecycle", .failed,
            "the rule \(name) moves objects of this prefix to \(target)",
            consequence:
              "a restore has to wait for hours until they are retrieved from the archive",
            remedy: "exclude the prefix from the rule, or use GLACIER_IR or STANDARD_IA"))
      }
    }
    guard findings.isEmpty else { return findings }
    return [Finding(.bucket, "lifecycle", .ok, "no rule expires objects of this prefix")]
  }

  package func versioning(_ root: XMLElement, expiresOldVersions: Bool) -> Finding {
    guard root["Status"]?.text == "Enabled" else {
      return Finding(.bucket, "versioning", .note, "off: deleted objects can't be recovered")
    }
    guard !expiresOldVersions else {
      return Finding(.bucket, "versioning", .ok, "on, and old versions expire")
    }
    return Finding(
      .bucket, "versioning", .warning, "on, and old versions never expire",
      consequence: "objects that Lifeboat deletes stay, and cost money",
      remedy: "add a lifecycle rule with NoncurrentVersionExpiration for this prefix")
  }

  package func objectLock(_ root: XMLElement) -> Finding {
    guard root["ObjectLockEnabled"]?.text == "Enabled", let rule = root["Rule"],
      let retention = rule["DefaultRetention"]
    else {
      return Finding(.bucket, "object-lock", .ok, "no default retention")
    }
    let length =
      retention["Days"].map { "\(printable($0.text)) days" }
      ?? retention["Years"].map { "\(printable($0.text)) years" } ?? "for some time"
    return Finding(
      .bucket, "object-lock", .warning, "objects can't be deleted for \(length)",
      consequence: "objects that Lifeboat deletes stay that long, and cost money",
      remedy: "accept the cost, or use a bucket without a default retention")
  }

  /// Whether the lifecycle deletes old versions of this prefix.
  package func expiresOldVersions(_ root: XMLElement) -> Bool {
    root.all("Rule").contains {
      $0["Status"]?.text == "Enabled" && concerns($0) && $0["NoncurrentVersionExpiration"] != nil
    }
  }

  /// A rule concerns us if one of the two prefixes begins with the other. If the rule is limited by tags,
  /// it does not concern us, since our objects have none; if it is limited by size, it does.
  private func concerns(_ rule: XMLElement) -> Bool {
    let filter = rule["Filter"]
    let inner = filter?["And"] ?? filter
    guard inner?["Tag"] == nil else { return false }
    let theirs = inner?["Prefix"]?.text ?? rule["Prefix"]?.text ?? ""
    let ours = prefix.isEmpty ? "" : prefix + "/"
    return ours.hasPrefix(theirs) || theirs.hasPrefix(ours)
  }
}
