package import BackupFormat
import BackupTypes

/// A dump that is durable.
package struct DurableDump: Sendable, Equatable {
  package var record: Snapshot.Dump
  package var dataset: DatasetRecord?
  /// The file on disk it was read from, if known.
  package var file: PinnedFile?
  package init(record: Snapshot.Dump, dataset: DatasetRecord?, file: PinnedFile?) {
    self.record = record
    self.dataset = dataset
    self.file = file
  }
  /// The time of its content, as `AOFLiveness` uses it. An RDB's own time is in whole seconds, so a log
  /// that was last written earlier in that second would seem to hold more.
  var heldAt: Instant {
    guard let file, let born = file.born, born <= file.modified else { return record.contentAt }
    return max(record.contentAt, born.instant)
  }
  /// Whether `other` is the file this was read from. Size and time are compared in addition to the inode:
  /// without birth times, a newer dump can get the inode number of the one it replaced.
  package func isRead(from other: PinnedFile?) -> Bool {
    guard let file, let other else { return false }
    return file.identity == other.identity && file.size == other.size
      && file.modified == other.modified
  }
}
