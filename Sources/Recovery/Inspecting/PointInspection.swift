package import BackupFormat
package import HistoryLogic

/// The output of `inspect --repo` for one restore point.
package struct PointInspection: Sendable, Encodable {
  package struct File: Sendable, Encodable {
    package var path: String
    package var bytes: UInt64
  }
  package struct Destructive: Sendable, Encodable {
    package var command: String
    package var at: String
    package var before: String
    /// How many keys there were before it, and how many it removed, as far as the log shows.
    package var keysBefore: UInt64?
    package var keysRemoved: UInt64?
    /// How many elements there were before it, and how many it removed; a key without elements counts as
    /// one. Estimates.
    package var elementsBefore: UInt64?
    package var elementsRemoved: UInt64?
    /// Whether keys or elements were removed one by one, beginning there.
    package var isRow: Bool
    /// The command that restores the state before it.
    package var restore: String
  }

  /// Half of the data disappeared between two full copies, and the log does not show why.
  package struct Shrinkage: Sendable, Encodable {
    package var from: String
    package var to: String
    package var keysBefore: UInt64
    package var keysAfter: UInt64
    package var elementsBefore: UInt64
    package var elementsAfter: UInt64
    /// The command that restores the first of them.
    package var restore: String
  }
  package struct Options: Sendable {
    /// A full copy of up to this many bytes is read for its keys.
    package var copyBytesMax: UInt64
    /// The value of `--repo`, for commands that are printed.
    package var url: String?
    package init(readsAnyCopy: Bool = false, url: String? = nil) {
      self.url = url
      copyBytesMax = readsAnyCopy ? .max : 64 << 20
    }
  }

  package var point: String
  package var instant: String
  package var primary: String
  package var loadsWithAppendonlyYes: String?
  package var loadsWithAppendonlyNo: String?
  package var files: [File]
  package var dataset: DatasetRecord?
  package var logBytesBehindDataset: UInt64
  /// Absent if the full copy was not read, or is a log of commands.
  package var keys: KeyReport?
  /// Why it was not read.
  package var keysUnread: String?
  /// The Ray clusters at the point. Absent if the full copy was not read.
  package var ray: [RayNamespace]?
  package var shrunk: [Shrinkage]
  package var destructive: [Destructive]
  package var warnings: [String]
}
