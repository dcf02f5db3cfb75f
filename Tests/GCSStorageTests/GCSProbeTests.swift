import BackupTypes
import GCSStorage
import RepositoryAccess
import SystemIO
import TestSupport
import Testing

/// The probe on Google Cloud Storage and on its simulations.
@Suite(.timeLimit(.minutes(5))) struct GCSProbeTests {
  private func probe(_ cloud: Cloud) async throws -> CapabilityReport {
    try await CapabilityProbe(retrying(try cloud.store()), now: { SystemClock.now() }).run()
  }

  @Test func `a good store`() async throws {
    let cloud = try Cloud()
    let report = try await probe(cloud)
    #expect(report.verdict == .ok, "\(report)")
    #expect(cloud.gcs.names.isEmpty)
  }

  @Test(arguments: [
    ("storage.objects.create", CapabilityReport.Check.write), ("storage.objects.list", .list),
    ("storage.objects.get", .read), ("storage.objects.delete", .delete),
  ])
  func `a denied action`(_ denied: String, _ check: CapabilityReport.Check) async throws {
    let report = try await probe(try Cloud { $0.denied = [denied] })
    let finding = try #require(report[check])
    #expect(finding.verdict != .ok && finding.remedy?.contains(denied) == true, "\(finding)")
    #expect(finding.consequence != nil)
  }

  /// When replies are lost, a retried creation finds its own object. This is not a refusal.
  @Test func `on a rough way`() async throws {
    let cloud = try Cloud {
      $0.fault = { $0.number % 2 == 1 ? .afterwards { _ in .reset } : nil }
    }
    let report = try await probe(cloud)
    #expect(report.verdict == .ok, "\(report)")
    #expect(cloud.gcs.names.isEmpty)
  }

  /// If several writers race, fake-gcs-server lets all of them succeed.
  @Test(.enabled(if: FakeGCSProgram.executable != nil))
  func `fake-gcs-server does all but refuse for certain`() async throws {
    let server = try await FakeGCSProgram.shared()
    let store = try Given.repository(
      url: "gs://\(FakeGCSProgram.bucket)/probe-\(hexadecimal(secureRandomBytes(8)))",
      environment: ["STORAGE_EMULATOR_HOST": server.url]
    ).store
    let report = try await CapabilityProbe(store, now: { SystemClock.now() }).run()
    #expect(
      report.findings.allSatisfy { $0.verdict == .ok || $0.check == .createIfAbsent }, "\(report)")
  }
}
