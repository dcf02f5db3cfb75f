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
    #expect(rules.versioning(on, oldVersionsExpire: nil).verdict == .warning)
    let expiring = rules.versioning(on, oldVersionsExpire: 15)
    #expect(expiring.verdict == .ok && expiring.detail.contains("15 days"), "\(expiring)")
    #expect(rules.versioning(off, oldVersionsExpire: nil).verdict == .note)
    let rule = { (days: Int, prefix: String) in
      "<Rule><Status>Enabled</Status><Filter><Prefix>\(prefix)</Prefix></Filter>"
        + "<NoncurrentVersionExpiration><NoncurrentDays>\(days)</NoncurrentDays>"
        + "</NoncurrentVersionExpiration></Rule>"
    }
    for (text, days) in [
      (rule(30, "") + rule(15, "p/"), 15), (rule(30, "p") + rule(1, "logs/"), 30),
      (rule(1, "logs/"), nil), ("", nil),
    ] as [(String, Int?)] {
      #expect(
        rules.oldVersionsExpire(
          try root("<LifecycleConfiguration>\(text)</LifecycleConfiguration>")) == days)
    }
  }

  private func lock(_ retention: String) throws -> Finding {
    S3BucketRules(prefix: "p").objectLock(
      try root(
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>"
          + "<DefaultRetention>\(retention)</DefaultRetention></Rule></ObjectLockConfiguration>"))
  }

  @Test(arguments: [
    ("<Mode>COMPLIANCE</Mode><Days>15</Days>", Finding.Verdict.ok, "15 days, and nobody"),
    ("<Mode>GOVERNANCE</Mode><Days>8</Days>", .ok, "8 days, and only those who may"),
    ("<Mode>COMPLIANCE</Mode><Years>1</Years>", .ok, "365 days"),
    ("<Mode>COMPLIANCE</Mode><Days>7</Days>", .warning, "7 days"),
    ("<Mode>COMPLIANCE</Mode><Years>9000000000000000000</Years>", .ok, "days"),
    ("<Mode>SOMETHING</Mode><Days>15</Days>", .note, "a mode that is not known"),
    ("<Mode>COMPLIANCE</Mode>", .note, "not understood"),
    ("<Mode>COMPLIANCE</Mode><Days>x</Days>", .note, "not understood"),
  ])
  func `a default retention says how long, and against whom`(
    retention: String, verdict: Finding.Verdict, words: String
  ) throws {
    let found = try lock(retention)
    #expect(found.verdict == verdict && found.detail.contains(words), "\(found)")
  }

  @Test func `credentials that only append can't overwrite, or what they overwrite stays`() {
    let rules = S3BucketRules(prefix: "p")
    func verdict(_ tried: S3BucketRules.Overwriting, _ keeps: Bool?) -> Finding.Verdict {
      rules.overwriting(tried, keepsVersions: keeps).verdict
    }
    for keeps in [true, false, nil] {
      #expect(verdict(.refused, keeps) == .ok)
      #expect(verdict(.unknown("x"), keeps) == .note)
    }
    #expect(verdict(.allowed(mayDelete: false), true) == .ok)
    #expect(verdict(.allowed(mayDelete: true), true) == .ok)
    for keeps in [false, nil] {
      #expect(verdict(.allowed(mayDelete: false), keeps) == .warning)
      #expect(verdict(.allowed(mayDelete: true), keeps) == .note)
    }
  }

  @Test func `object lock without a default retention locks nothing`() throws {
    let rules = S3BucketRules(prefix: "p")
    let free = rules.objectLock(
      try root(
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
          + "</ObjectLockConfiguration>"))
    #expect(free.verdict == .note, "\(free)")
  }
}
