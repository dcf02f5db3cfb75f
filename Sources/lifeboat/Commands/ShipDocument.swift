import Auditing
import BackupTypes
import RepositoryAccess
import Shipping

/// How a shipper ended.
struct ShipDocument: Encodable {
  var state: String
  var timeline: TimelineNumber?
  var unshippedBytes: UInt64
  var unshippedSince: String?
  /// A look proved that the repository holds everything on disk.
  var isComplete: Bool
  /// Why it is not.
  var reason: String?

  init(_ outcome: Shipper.Outcome, unshippedSince: Instant?) {
    state = outcome.state.rawValue
    timeline = outcome.timeline
    unshippedBytes = outcome.unshippedBytes
    self.unshippedSince = unshippedSince?.description
    isComplete = outcome.isComplete
    reason = outcome.isComplete ? nil : outcome.verdict?.reason ?? outcome.reason
  }
}
