package import BackupTypes
import FoundationEssentials

/// What a bucket does to objects on its own, judged for a prefix. Pure.
///
/// From the `lifecycle`, `versioning`, `softDeletePolicy` and `retentionPolicy` of a bucket resource
/// (Cloud Storage JSON API, Buckets).
package struct GCSBucketRules {
  /// The requested fields.
  static let fields = "lifecycle,versioning,softDeletePolicy,retentionPolicy"

  private struct Bucket: Decodable {
    struct Lifecycle: Decodable { var rule: [Rule]? }
    struct Versioning: Decodable { var enabled: Bool? }
    /// 64-bit numbers are texts in Google's JSON.
    struct SoftDelete: Decodable { var retentionDurationSeconds: String? }
    struct Retention: Decodable { var retentionPeriod: String? }
    var lifecycle: Lifecycle?
    var versioning: Versioning?
    var softDeletePolicy: SoftDelete?
    var retentionPolicy: Retention?
  }

  private struct Rule: Decodable {
    struct Action: Decodable { var type: String }
    /// The rule applies only if all of them are true.
    struct Condition: Decodable {
      var age: Int?
      var isLive: Bool?
      var matchesPrefix: [String]?
      var matchesSuffix: [String]?
      var numNewerVersions: Int?
      var daysSinceNoncurrentTime: Int?
      var noncurrentTimeBefore: String?
      var daysSinceCustomTime: Int?
      var customTimeBefore: String?

      /// Whether it can be true only for versions that were replaced or deleted.
      var isForOldVersions: Bool {
        isLive == false || (numNewerVersions ?? 0) > 0 || daysSinceNoncurrentTime != nil
          || noncurrentTimeBefore != nil
      }
      /// Whether it depends on a custom time, which our objects do not have.
      var isForCustomTime: Bool { daysSinceCustomTime != nil || customTimeBefore != nil }
    }
    var action: Action
    var condition: Condition?
  }

  private let prefix: String
  private let bucket: Bucket

  /// - Parameter prefix: the repository's prefix, without "/" at either end.
  /// - Returns: nil if `body` is not a bucket resource.
  package init?(_ body: [UInt8], prefix: String) {
    guard let bucket = try? JSONDecoder().decode(Bucket.self, from: Data(body)) else { return nil }
    self.prefix = prefix
    self.bucket = bucket
  }

  package var findings: [Finding] { [lifecycle, versioning, softDelete, retention] }

  /// Only rules that expire our objects matter here, since retention can't see them. Storage classes do not
  /// matter: objects of every class can be read at once.
  private var lifecycle: Finding {
    guard let rule = deletions.first(where: { $0.condition?.isForOldVersions != true }) else {
      return Finding(.bucket, "lifecycle", .ok, "no rule expires objects of this prefix")
    }
    let when = rule.condition?.age.map { " after \(counted($0, "day"))" } ?? ""
    return Finding(
      .bucket, "lifecycle", .failed, "a rule deletes objects of this prefix\(when)",
      consequence:
        "it expires objects that the newest restore point needs, so the backup can't be restored",
      remedy: "remove the rule, or limit it with matchesPrefix; Lifeboat applies its own retention"
    )
  }

  private var versioning: Finding {
    guard bucket.versioning?.enabled == true else {
      return Finding(.bucket, "versioning", .note, "off: deleted objects can't be recovered")
    }
    guard !deletions.contains(where: { $0.condition?.isForOldVersions == true }) else {
      return Finding(.bucket, "versioning", .ok, "on, and old versions expire")
    }
    return Finding(
      .bucket, "versioning", .warning, "on, and old versions never expire",
      consequence: "objects that Lifeboat deletes stay, and cost money",
      remedy: "add a lifecycle rule that deletes with daysSinceNoncurrentTime for this prefix")
  }

  private var softDelete: Finding {
    let seconds = bucket.softDeletePolicy?.retentionDurationSeconds.flatMap { Int64($0) } ?? 0
    guard seconds > 0 else { return Finding(.bucket, "soft-delete", .note, "off") }
    return Finding(
      .bucket, "soft-delete", .note,
      "deleted objects stay for \(humanDuration(milliseconds: clamped(seconds))), and cost money")
  }

  private var retention: Finding {
    guard let period = bucket.retentionPolicy?.retentionPeriod.flatMap({ Int64($0) }), period > 0
    else { return Finding(.bucket, "retention-policy", .ok, "there is none") }
    let kept =
      "every object is kept for \(humanDuration(milliseconds: clamped(period))): nobody can delete it earlier,"
      + " and it costs money that long"
    guard period < GCSBucketRules.keptSecondsMin else {
      return Finding(.bucket, "retention-policy", .note, kept)
    }
    return Finding(
      .bucket, "retention-policy", .warning, kept,
      consequence: "what a restore needs can be deleted by an intruder after that time",
      remedy: "keep for at least --keep-within and a day, and the time that you need to notice")
  }
  /// The default of `--keep-within`, and a day.
  private static let keptSecondsMin: Int64 = 8 * 86_400

  private func clamped(_ seconds: Int64) -> Int64 { min(max(0, seconds), 1 << 40) * 1000 }

  /// Whether a name of ours can have this end: all but the descriptor's end in lower-case letters, digits and
  /// "-".
  private func endsOurs(_ suffix: String) -> Bool {
    "/lifeboat.json".hasSuffix(suffix)
      || suffix.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x61...0x7a).contains($0) || $0 == 0x2d || $0 == 0x2f
      }
  }

  /// A rule concerns us if it has no prefixes, or if one of them begins with our prefix or our prefix begins
  /// with it. The same applies to its suffixes.
  private var deletions: [Rule] {
    let ours = prefix.isEmpty ? "" : prefix + "/"
    return (bucket.lifecycle?.rule ?? []).filter { rule in
      guard rule.action.type == "Delete", rule.condition?.isForCustomTime != true else {
        return false
      }
      if let suffixes = rule.condition?.matchesSuffix, !suffixes.isEmpty,
        !suffixes.contains(where: endsOurs)
      {
        return false
      }
      guard let theirs = rule.condition?.matchesPrefix, !theirs.isEmpty else { return true }
      return theirs.contains { ours.hasPrefix($0) || $0.hasPrefix(ours) }
    }
  }
}
