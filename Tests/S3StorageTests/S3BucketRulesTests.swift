import BackupTypes
import CloudAuth
import S3Storage
import Testing

/// What a bucket's own rules mean for a repository in it.
@Suite struct S3BucketRulesTests {
  private func root(_ text: String) throws -> XMLElement {
    try XMLElement(parsing: Array(text.utf8))
  }

  private func lifecycle(_ rules: String, prefix: String = "redis/gcs") throws -> [Finding] {
    S3BucketRules(prefix: prefix).lifecycle(
      try root("<LifecycleConfiguration>\(rules)</LifecycleConfiguration>"))
  }

  private static let expiring = "<Expiration><Days>30</Days></Expiration>"

  @Test(arguments: [
    "<Filter><Prefix></Prefix></Filter>", "<Filter></Filter>", "<Prefix>redis/</Prefix>",
    "<Filter><Prefix>redis/gcs/timelines/</Prefix></Filter>",
    "<Filter><And><Prefix>redis</Prefix><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></And></Filter>",
  ])
  func `a rule that takes our objects away fails`(filter: String) throws {
    let found = try lifecycle(
      "<Rule><ID>tidy</ID><Status>Enabled</Status>\(filter)\(Self.expiring)</Rule>")
    #expect(found.count == 1 && found[0].verdict == .failed, "\(found)")
    #expect(found[0].detail.contains("tidy") && found[0].detail.contains("30 days"), "\(found)")
    #expect(found[0].remedy != nil && found[0].consequence != nil)
  }

  @Test(arguments: [
    "<Status>Disabled</Status><Filter></Filter><Expiration><Days>30</Days></Expiration>",
    "<Status>Enabled</Status><Filter><Prefix>logs/</Prefix></Filter><Expiration><Days>1</Days></Expiration>",
    "<Status>Enabled</Status><Filter><Prefix>redis/gcs2/</Prefix></Filter><Expiration><Days>1</Days></Expiration>",
    "<Status>Enabled</Status><Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><Expiration><Days>1</Days></Expiration>",
    "<Status>Enabled</Status><Filter></Filter><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>",
    "<Status>Enabled</Status><Filter></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
    "<Status>Enabled</Status><Filter></Filter><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
    "<Status>Enabled</Status><Filter></Filter><Transition><Days>1</Days><StorageClass>GLACIER_IR</StorageClass></Transition>",
  ])
  func `a rule that leaves them is well`(rule: String) throws {
    let found = try lifecycle("<Rule>\(rule)</Rule>")
    #expect(found.map(\.verdict) == [.ok], "\(found)")
  }

  @Test func `freezing fails, too`() throws {
    let found = try lifecycle(
      "<Rule><ID>cold</ID><Status>Enabled</Status><Filter></Filter><Transition><Days>1</Days>"
        + "<StorageClass>DEEP_ARCHIVE</StorageClass></Transition></Rule>")
    #expect(
      found.map(\.verdict) == [.failed] && found[0].detail.contains("DEEP_ARCHIVE"), "\(found)")
  }

  @Test func `versions that never expire are paid for`() throws {
    let rules = S3BucketRules(prefix: "p")
    let on = try root("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
    let off = try root("<VersioningConfiguration/>")
    #expect(rules.versioning(on, expiresOldVersions: false).verdict == .warning)
    #expect(rules.versioning(on, expiresOldVersions: true).verdict == .ok)
    #expect(rules.versioning(off, expiresOldVersions: false).verdict == .note)
  }

  @Test func `a default retention keeps what is deleted`() throws {
    let rules = S3BucketRules(prefix: "p")
    let locked = rules.objectLock(
      try root(
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>"
          + "<DefaultRetention><Mode>COMPLIANCE</Mode><Days>90</Days></DefaultRetention></Rule>"
          + "</ObjectLockConfiguration>"))
    #expect(locked.verdict == .warning && locked.detail.contains("90 days"), "\(locked)")
    let free = rules.objectLock(
      try root(
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
          + "</ObjectLockConfiguration>"))
    #expect(free.verdict == .ok)
  }
}
