package import BackupFormat
package import BackupTypes
import RedisFormats

/// What the server that will start on the directory does; `unknown` makes the result right either way.
package enum AppendOnly: String, Sendable, CaseIterable { case yes, no, unknown }

/// Which files a restore makes, and from which objects. Pure: the same point and options give the same
/// plan, which `--dry-run` prints.
package struct RestorePlan: Sendable, Equatable {
  package struct Options: Sendable, Equatable {
    package var appendOnly: AppendOnly = .unknown
    package var usesLegacyForm = false
    /// Nil: as the backup has them.
    package var names: ServerNames?
    package init() {}
  }

  /// Bytes of one log object that go into a file.
  package struct LogPart: Sendable, Equatable {
    package var timeline: TimelineNumber
    package var ordinal: Int
    package var span: LogSpan
    /// Of the object's bytes: those before `from` are there already, those from `to` on are cut off.
    package var from: UInt64
    package var to: UInt64
    package var name: ObjectPath { .log(timeline, ordinal: ordinal, span) }
  }

  package enum Content: Sendable, Equatable {
    case generation(GenerationIndex)
    case log([LogPart])
    case bytes([UInt8])
    /// The same bytes as the file at that index: a hard link, or a copy where `mustCopy`.
    case same(Int, mustCopy: Bool)
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
  /// The names of the files it makes, as the server has to be configured.
  package var names: ServerNames
  package var files: [File]
  package var warnings: [String]
  /// The instants that a server with `appendonly yes`, and one with `no`, would load; nil: nothing.
  package var loadsWithYes: Instant?
  package var loadsWithNo: Instant?
  package var dataset: DatasetRecord?
  /// The log goes on behind the state, and what follows is lost.
  package var loss: LogLoss?
  /// What stands around the cut; read for a plan that is shown.
  package var surroundings: CutSurroundings?

  /// The bytes to be written; links need none. What is too much to be counted is the most there is.
  package var bytes: UInt64 {
    files.reduce(0) {
      if case .same(_, mustCopy: false) = $1.content { return $0 }
      return $0.addingSaturated($1.size)
    }
  }
  package var requests: Int {
    files.reduce(0) {
      switch $1.content {
      case .generation(let index): $0 + index.pieces.count
      case .log(let parts): $0 + parts.count
      case .bytes, .same: $0
      }
    }
  }
}
