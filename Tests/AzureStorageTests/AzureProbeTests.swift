import AzureStorage
import BackupTypes
import RepositoryAccess
import SystemIO
import TestSupport
import Testing

/// The probe on Azure Blob Storage and on its simulation.
@Suite(.timeLimit(.minutes(5))) struct AzureProbeTests {
  private func probe(_ cloud: Cloud) async throws -> CapabilityReport {
    try await CapabilityProbe(retrying(try cloud.store()), now: { SystemClock.now() }).run()
  }

  @Test func `a good store`() async throws {
    let cloud = try Cloud()
    let report = try await probe(cloud)
    #expect(report.verdict == .ok, "\(report)")
    #expect(cloud.azure.names.isEmpty)
  }

  @Test(arguments: [
    ("write", CapabilityReport.Check.write), ("list", .list), ("read", .read),
    ("delete", .delete),
  ])
  func `a denied action`(_ denied: String, _ check: CapabilityReport.Check) async throws {
    let report = try await probe(try Cloud.withTokens { $0.denied = [denied] })
    let finding = try #require(report[check])
    #expect(
      finding.verdict != .ok
        && finding.remedy?.contains(
          "Storage Blob Data"
            + " Contributor") == true,
      "\(finding)")
    #expect(finding.consequence != nil)
  }

  /// When replies are lost, a retried creation finds its own object. This is not a refusal.
  @Test func `on a rough way`() async throws {
    let cloud = try Cloud {
      $0.fault = { $0.number % 2 == 1 ? .afterwards { _ in .reset } : nil }
    }
    let report = try await probe(cloud)
    #expect(report.verdict == .ok, "\(report)")
    #expect(cloud.azure.names.isEmpty)
  }

  @Test func `a hierarchical namespace`() async throws {
    let report = try await probe(try Cloud { $0.isHierarchical = true })
    #expect(report.verdict == .ok, "\(report)")
  }

  /// How the container and the account describe themselves.
  @Test func `what doctor says of a container`() async throws {
    func findings(
      _ change: (inout FakeAzureServer.Setup) -> Void
    ) async throws -> [String: Finding] {
      let store = try Cloud(change).store()
      _ = try await store.create("x", [1])
      let found = try await store.bucketFindings()
      return Dictionary(uniqueKeysWithValues: found.map { ($0.check, $0) })
    }
    let plain = try await findings { _ in }
    #expect(plain["immutability"]?.verdict == .ok && plain["public-access"]?.verdict == .ok)
    #expect(plain["hierarchical-namespace"]?.verdict == .ok)
    #expect(plain["lifecycle"]?.detail.contains("Lifecycle management") == true)
    #expect(plain["versioning"]?.detail.hasPrefix("off") == true)
    #expect(plain["soft-delete"]?.detail.hasPrefix("off") == true)
    let other = try await findings {
      $0.isHierarchical = true
      $0.keepsVersions = true
      $0.containerHeaders = [
        ("x-ms-has-immutability-policy", "true"), ("x-ms-has-legal-hold", "false"),
        ("x-ms-blob-public-access", "container"),
      ]
      $0.serviceProperties =
        "<StorageServiceProperties><DeleteRetentionPolicy><Enabled>true</Enabled><Days>7</Days></DeleteRetentionPolicy></StorageServiceProperties>"
    }
    #expect(
      other["immutability"]?.verdict == .note && other["public-access"]?.verdict == .failed)
    let held = try await findings { $0.containerHeaders = [("x-ms-has-legal-hold", "true")] }
    #expect(held["immutability"]?.verdict == .warning && held["immutability"]?.remedy != nil)
    #expect(other["hierarchical-namespace"]?.verdict == .warning)
    #expect(other["versioning"]?.detail.hasPrefix("on") == true)
    #expect(other["soft-delete"]?.detail.contains("7 days") == true)
  }

  /// With credentials for data alone, what can't be requested is not a failure.
  @Test func `what may not be looked at is said so`() async throws {
    let cloud = try Cloud {
      $0.fault = { request in
        request.target.contains("restype=account") || request.target.contains("restype=service")
          || (request.target.contains("restype=container") && !request.target.contains("comp=list"))
          ? .instead(.reply(FakeAzureServer.error(403, "AuthorizationPermissionMismatch"))) : nil
      }
    }
    let findings = try await cloud.store().bucketFindings()
    #expect(findings.first?.check == "container" && findings.first?.verdict == .warning)
    #expect(findings.allSatisfy { $0.verdict != .failed }, "\(findings)")
    #expect(findings.contains { $0.check == "soft-delete" && $0.detail.hasPrefix("not known") })
  }
}
