import BackupTypes
import Logging
import ObjectStorage
import RepositoryAccess
import SystemIO
import WriterLogic

extension Shipper {
  /// Tests a store that is used for the first time, and logs each guarantee that backups need and it lacks,
  /// in one line with the consequence. Shipping continues during the test, whatever the result.
  ///
  /// - Throws: only when cancelled.
  func tellWhatStoreLacks() async throws {
    let time = time
    let report = try await CapabilityProbe(store, now: { time.wall }).run()
    for finding in report.findings where finding.verdict > .ok && isCountedOn(finding.check) {
      logger.warning(
        "the store lacks a guarantee that backups need",
        metadata: [
          "check": "\(finding.check.rawValue)", "found": "\(finding.detail)",
          "consequence": "\(finding.consequence ?? "none")",
          "remedy": "\(finding.remedy ?? "run lifeboat doctor")",
        ])
    }
    guard report.verdict == .ok else { return }
    logger.info(
      "the store supports everything that backups need",
      metadata: ["repository": "\(store.location)"])
  }

  private func isCountedOn(_ check: CapabilityReport.Check) -> Bool {
    switch check {
    case .delete: options.retention != nil || options.writing.removesFolded
    // A sidecar compares the clocks at every reply anyway.
    case .clock: options.isOnce
    default: true
    }
  }
}
