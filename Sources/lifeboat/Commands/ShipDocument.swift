import BackupTypes
import Replication

/// How a shipper ended.
struct ShipDocument: Encodable {
  var state: String
  var timeline: TimelineNumber?
  var unshippedBytes: UInt64
  var unshippedSince: String?
  var isComplete: Bool

  init(_ outcome: Shipper.Outcome) {
    state = outcome.state.rawValue
    timeline = outcome.timeline
    unshippedBytes = outcome.unshippedBytes
    unshippedSince = outcome.unshippedSince?.description
    isComplete = outcome.unshippedBytes == 0 && outcome.isReadable
  }
}
