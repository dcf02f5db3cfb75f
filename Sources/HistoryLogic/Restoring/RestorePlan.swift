package import BackupFormat
package import BackupTypes
import RedisFormats

/// The setting of the server that will start on the directory. With `unknown` the result works for both.
package enum AppendOnly: String, Sendable, CaseIterable { case yes, no, unknown }

/// Which files a restore creates, and from which objects. Pure: the same restore point and options give the
/// same plan, which `--dry-run` prints.
package struct RestorePlan: Sendable, Equatable {
  package struct Options: Sendable, Equatable {
    package var appendOnly: AppendOnly = .unknown
    package var usesLegacyForm = false
    /// Nil: the names in the backup.
    package var names: ServerNames?
    package init() {}
  }

  /// Bytes of one log object that go into a file.
  package struct LogPart: Sendable, Equatable {
    package var timeline: TimelineNumber
    package var ordinal: Int
    package var span: LogSpan
    /// Which of the object's bytes to use. The bytes before `from` exist already; those from `to` on are left
    /// out.
    package var from: UInt64
    package var to: UInt64
    package var name: ObjectPath { .log(timeline, ordinal: ordinal, span) }
  }

  package enum Content: Sendable, Equatable {
    case generation(GenerationIndex)
    case log([LogPart])
    case bytes([UInt8])
    /// The same bytes as the file at that index: a hard link, or a copy if `mustCopy`.
    case same(Int, mustCopy: Bool)
    /// A copy of the file at that index, and after it the stream of a server older than Redis 7.0, with its
    /// relative expiries made absolute. The file becomes a little larger than its parts.
    case stream(over: Int, [LogPart])
  }

  package enum Role: String, Sendable { case dump, base, increment, legacy, manifest }

  package struct File: Sendable, Equatable {
    /// Nil: directly in the data directory.
    package var directory: String?
    package var name: String
    package var role: Role
    package var content: Content
    package var size: UInt64
    package var path: String { (directory.map { $0 + "/" } ?? "") + name }
  }

  package var point: RestorePoint
  /// The names of the created files, as the server has to be configured.
  package var names: ServerNames
  package var files: [File]
  package var warnings: [String]
  /// The times of the states that servers with `appendonly yes` and `appendonly no` would load. Nil for
  /// nothing.
  package var loadsWithYes: Instant?
  package var loadsWithNo: Instant?
  package var dataset: DatasetRecord?
  /// Set if the log continued after the state and the continuation is lost.
  package var loss: LogLoss?
  /// The log around the cut. It is read only for a plan that is shown.
  package var surroundings: CutSurroundings?

  /// How many bytes are written. Links need none. A sum that would overflow is the maximum.
  package var bytes: UInt64 {
    files.reduce(0) {
      if case .same(_, mustCopy: false) = $1.content { return $0 }
      return $0.addingSaturated($1.size)
    }
  }
  /// Whether the state of the point begins with this file, or with a copy of it.
  package func isLoaded(_ file: File) -> Bool {
    switch (point.primary, file.role) {
    case (.rdb, .dump), (.aof, .base): true
    default:
      files.contains {
        if case .stream(let over, _) = $0.content { files[over].path == file.path } else { false }
      }
    }
  }
  package var requests: Int {
    files.reduce(0) {
      switch $1.content {
      case .generation(let index): $0 + index.pieces.count
      case .log(let parts), .stream(_, let parts): $0 + parts.count
      case .bytes, .same: $0
      }
    }
  }
}
