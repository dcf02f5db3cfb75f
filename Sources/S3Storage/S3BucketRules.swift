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

  package func keepsVersions(_ root: XMLElement) -> Bool { root["Status"]?.text == "Enabled" }

  /// - Parameter oldVersionsExpire: after how many days; nil: never.
  package func versioning(_ root: XMLElement, oldVersionsExpire: Int?) -> Finding {
    guard keepsVersions(root) else {
      return Finding(
        .bucket, "versioning", .note,
        "off: objects that were deleted or overwritten can't be recovered")
    }
    if let days = oldVersionsExpire {
      return Finding(
        .bucket, "versioning", .ok, "on, and old versions expire after \(counted(days, "day"))")
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
      return Finding(
        .bucket, "object-lock", .note,
        "no default retention: anyone who may delete versions can delete objects for good")
    }
    let days =
      retention["Days"].flatMap { Int($0.text) }
      ?? retention["Years"].flatMap { Int($0.text) }.map { $0 > 200 ? Int.max : $0 * 365 }
    guard let days, days > 0 else {
      return Finding(
        .bucket, "object-lock", .note, "on, with a retention that is not understood",
        consequence: "it is not known for how long objects are protected")
    }
    let locked = "on: each object is locked for \(counted(days, "day"))"
    let detail: String
    switch retention["Mode"]?.text {
    case "COMPLIANCE": detail = locked + ", and nobody can delete it for good before"
    case "GOVERNANCE":
      detail = locked + ", and only those who may bypass governance can delete it for good before"
    default:
      return Finding(
        .bucket, "object-lock", .note, locked + " in a mode that is not known",
        consequence: "it is not known who can delete objects for good")
    }
    guard days < S3BucketRules.lockedDaysMin else {
      return Finding(.bucket, "object-lock", .ok, detail)
    }
    return Finding(
      .bucket, "object-lock", .warning, detail,
      consequence:
        "Lifeboat keeps a restore point for --keep-within (7 days) and a day: its objects can be "
        + "deleted for good while it is still needed",
      remedy: "lock for at least --keep-within and a day, and the time that you need to notice")
  }

  /// The default of `--keep-within`, and the day for which an object is kept after it is no longer needed.
  private static let lockedDaysMin = 8

  /// After how many days the lifecycle deletes old versions of this prefix; nil: never.
  package func oldVersionsExpire(_ root: XMLElement) -> Int? {
    root.all("Rule").filter { $0["Status"]?.text == "Enabled" && concerns($0) }
      .compactMap { $0["NoncurrentVersionExpiration"]?["NoncurrentDays"].flatMap { Int($0.text) } }
      .min()
  }

  /// The result of an attempt to overwrite an object.
  package enum Overwriting: Sendable, Hashable {
    case refused
    case allowed(mayDelete: Bool)
    case unknown(String)
  }

  /// - Parameter keepsVersions: nil: not known.
  package func overwriting(_ tried: Overwriting, keepsVersions: Bool?) -> Finding {
    let allowed = "these credentials can overwrite an object"
    switch (tried, keepsVersions) {
    case (.unknown(let reason), _):
      return Finding(.bucket, "overwriting", .note, "not known: \(reason)")
    case (.refused, _):
      return Finding(.bucket, "overwriting", .ok, "these credentials can't overwrite an object")
    case (.allowed, true):
      return Finding(
        .bucket, "overwriting", .ok, "\(allowed), but its earlier version stays")
    case (.allowed(mayDelete: true), _):
      return Finding(.bucket, "overwriting", .note, "\(allowed), and delete it")
    case (.allowed(mayDelete: false), _):
      return Finding(
        .bucket, "overwriting", .warning,
        "these credentials may not delete, but can overwrite an object, "
          + (keepsVersions == nil
            ? "and it is not known whether its earlier version stays"
            : "and its earlier version is lost"),
        consequence: "they are not append-only: anyone who has them can destroy every backup",
        remedy:
          "enable versioning with object lock, or apply a bucket policy that refuses PutObject "
          + "without If-None-Match (deploy/iam/README.md)")
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
