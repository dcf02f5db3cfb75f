import BackupTypes
import SystemIO
import WriterLogic

extension CaptureView {
  var bytes: UInt64 { files.reduce(0) { $0 + $1.size } }
  var lastWrite: Instant? { files.map(\.modified.instant).max() }
}
