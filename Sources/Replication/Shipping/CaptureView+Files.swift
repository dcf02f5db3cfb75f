import BackupLogic
import BackupTypes
import SystemIO

extension CaptureView {
  /// The files that a server would load.
  private var files: [PinnedFile] {
    (aof.set.map { [$0.base?.file].compactMap { $0 } + $0.increments.map(\.file) } ?? [])
      + [dump].compactMap { $0 }
  }
  var bytes: UInt64 { files.reduce(0) { $0 + $1.size } }
  var lastWrite: Instant? { files.map(\.modified.instant).max() }
}
