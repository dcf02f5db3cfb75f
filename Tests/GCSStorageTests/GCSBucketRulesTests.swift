import BackupTypes
import GCSStorage
import TestSupport
import Testing

/// What a bucket's own rules mean for a repository in it.
@Suite(.timeLimit(.minutes(2))) struct GCSBucketRulesTests {
  private func finding(
    _ check: String, _ bucket: String, prefix: String = "redis/gcs"
  ) throws -> Finding {
    let rules = try #require(GCSBucketRules(Array(bucket.utf8), prefix: prefix))
    return try #require(rules.findings.first { $0.check == check })
  }

  private func lifecycle(_ condition: String, action: String = "Delete") throws -> Finding {
    try finding(
      "lifecycle",
      "{\"lifecycle\":{\"rule\":[{\"action\":{\"type\":\"\(action)\"},\"condition\":{\(condition)}}]}}"
    )
  }

  @Test(arguments: [
    "\"age\":30", "\"createdBefore\":\"2026-01-01\"", "\"age\":30,\"matchesPrefix\":[]",
    "\"age\":30,\"matchesPrefix\":[\"logs/\",\"redis/\"]", "\"age\":30,\"isLive\":true",
    "\"age\":30,\"matchesPrefix\":[\"redis/gcs/timelines/\"]", "\"age\":30,\"numNewerVersions\":0",
    "\"age\":30,\"matchesSuffix\":[\".tmp\",\".json\"]", "\"age\":30,\"matchesSuffix\":[\"f\"]",
  ])
  func `a rule that takes our objects away fails`(condition: String) throws {
    let found = try lifecycle(condition)
    #expect(found.verdict == .failed && found.remedy != nil && found.consequence != nil, "\(found)")
  }

  @Test(arguments: [
    "\"age\":30,\"matchesPrefix\":[\"logs/\"]", "\"age\":30,\"matchesPrefix\":[\"redis/gcs2/\"]",
    "\"age\":30,\"isLive\":false", "\"numNewerVersions\":3", "\"daysSinceNoncurrentTime\":7",
    "\"daysSinceCustomTime\":7", "\"age\":30,\"matchesSuffix\":[\".tmp\",\".log\"]",
  ])
  func `a rule that leaves them is well`(condition: String) throws {
    #expect(try lifecycle(condition).verdict == .ok)
    #expect(try lifecycle("\"age\":1", action: "SetStorageClass").verdict == .ok)
  }

  @Test func `versions, soft deletion and retention`() throws {
    let on = "\"versioning\":{\"enabled\":true}"
    #expect(try finding("versioning", "{\(on)}").verdict == .warning)
    let expiring =
      "\"lifecycle\":{\"rule\":[{\"action\":{\"type\":\"Delete\"},\"condition\":{\"isLive\":false}}]}"
    #expect(try finding("versioning", "{\(on),\(expiring)}").verdict == .ok)
    let soft = try finding(
      "soft-delete", "{\"softDeletePolicy\":{\"retentionDurationSeconds\":\"604800\"}}")
    #expect(soft.verdict == .note && soft.detail.contains("7 d"), "\(soft)")
    let kept = try finding(
      "retention-policy", "{\"retentionPolicy\":{\"retentionPeriod\":\"86400\"}}")
    #expect(kept.verdict == .warning && kept.remedy != nil, "\(kept)")
    let long = try finding(
      "retention-policy", "{\"retentionPolicy\":{\"retentionPeriod\":\"1296000\"}}")
    #expect(long.verdict == .note && long.detail.contains("15 d"), "\(long)")
    let rules = try #require(GCSBucketRules(Array("{}".utf8), prefix: ""))
    #expect(rules.findings.allSatisfy { $0.verdict <= .ok })
    #expect(try finding("versioning", "{}").verdict == .note)
    #expect(GCSBucketRules(Array("<html>".utf8), prefix: "") == nil)
  }

  @Test func `looked at through the store`() async throws {
    let cloud = try Cloud {
      $0.bucketRules = "{\"versioning\":{\"enabled\":true}}"
    }
    let store = try cloud.store()
    #expect(
      try await store.bucketFindings().map(\.verdict) == [.ok, .warning, .note, .ok])
    cloud.gcs.change { $0.denied = ["storage.buckets.get"] }
    let denied = try await store.bucketFindings()
    #expect(denied.map(\.verdict) == [.warning], "\(denied)")
    #expect(denied.first?.remedy?.contains("storage.buckets.get") == true)
    cloud.gcs.server.stop()
    let away = try await store.bucketFindings()
    #expect(away.map(\.verdict) == [.warning] && away.first?.remedy != nil, "\(away)")
  }
}
