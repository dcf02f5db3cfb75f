package import BackupTypes

extension CapabilityReport {
  /// The same for `doctor`.
  package var asFindings: [BackupTypes.Finding] {
    findings.map { finding in
      BackupTypes.Finding(
        .store, finding.check.rawValue, finding.verdict, finding.detail,
        consequence: finding.consequence, remedy: finding.remedy,
        code: .storeUnavailable)
    }
  }
}
