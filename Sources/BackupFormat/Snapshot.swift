package import BackupTypes

/// `timelines/<n>/snapshots/<m>`: the content of the data directory, as generations and spans of log.
/// Everything it refers to was durable before it was written.
package struct Snapshot: Sendable, Equatable, Codable {
  /// Which file a server loads from this directory.
  package enum Primary: String, DecidingWord { case aof, rdb }
  /// Why the snapshot was made.
  package struct Cause: InformingWord {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
    package static let claim = Cause(rawValue: "claim")
    package static let detached = Cause(rawValue: "detached")
    package static let chain = Cause(rawValue: "chain")
    package static let generation = Cause(rawValue: "generation")
    package static let primary = Cause(rawValue: "primary")
    package static let destructive = Cause(rawValue: "destructive")
    package static let end = Cause(rawValue: "end")
    package static let known: Set<Cause> = [
      claim, detached, chain, generation, primary, destructive, end,
    ]
  }

  package var timeline: TimelineNumber
  package var sequence: Int
  package var nonce: Nonce
  package var at: Instant
  package var cause: Cause
  /// Nil if this snapshot has no restore point and only names files whose log follows.
  package var primary: Primary?
  package var chain: Chain?
  package var dump: Dump?
  package var detached: Detached?
  /// Whether the writer shut down cleanly, with everything on disk durable.
  package var isClean: Bool
  package var destructive: Destructive?
  /// The durable end of the chain's open log when this was written. If some of that log is missing, it was
  /// lost. Nil if no log is open or the writer did not record it.
  package var reached: UInt64?
  /// How many keys a server would load from this snapshot, as far as its writer knew; nil if it did not know,
  /// or did not record it.
  package var estimate: Estimate?
  /// Where the log is in the replication history of the server from which it was received; nil if it was read
  /// from files.
  package var link: Link?

  package init(
    timeline: TimelineNumber, sequence: Int, nonce: Nonce, at: Instant, cause: Cause,
    primary: Primary?, chain: Chain?, dump: Dump?, detached: Detached?, isClean: Bool,
    destructive: Destructive?
  ) {
    self.timeline = timeline
    self.sequence = sequence
    self.nonce = nonce
    self.at = at
    self.cause = cause
    self.primary = primary
    self.chain = chain
    self.dump = dump
    self.detached = detached
    self.isClean = isClean
    self.destructive = destructive
  }

  /// The number of keys: a lower bound from the counts of full copies and the key names in the log.
  package struct Estimate: Sendable, Equatable, Codable {
    package var keys: UInt64
    /// At most this many of them have a time to live.
    package var expires: UInt64
    package init(keys: UInt64, expires: UInt64) {
      self.keys = keys
      self.expires = expires
    }
  }

  /// A position in the replication history of a server.
  package struct Link: Sendable, Equatable, Codable {
    /// The server's `master_replid`.
    package var id: String
    /// The offset of the last byte before the last file of the chain. This is the offset of the full copy
    /// that the file continues.
    package var offset: UInt64
    package init(id: String, offset: UInt64) {
      self.id = id
      self.offset = offset
    }
  }

  /// The AOF set: a BASE and the files that provably follow it.
  package struct Chain: Sendable, Equatable, Codable {
    package var form: AOFForm
    package var base: Base?
    package var files: [LogFile]
    package init(form: AOFForm, base: Base?, files: [LogFile]) {
      self.form = form
      self.base = base
      self.files = files
    }

    private enum CodingKeys: String, CodingKey { case form, base, emptyBase, files }
    package init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      form = try container.decode(AOFForm.self, forKey: .form)
      files = try container.decode([LogFile].self, forKey: .files)
      base = try container.decodeIfPresent(Base.self, forKey: .emptyBase)
      base?.isEmpty = true
      base = try base ?? container.decodeIfPresent(Base.self, forKey: .base)
    }
    /// An empty BASE has its own field. A reader that does not know the field (0.1.0) sees a chain without a
    /// BASE, which is the same state for a server.
    package func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(form, forKey: .form)
      try container.encodeIfPresent(base, forKey: base?.isEmpty == true ? .emptyBase : .base)
      try container.encode(files, forKey: .files)
    }
    /// The growing segment, if there is one.
    package var openSegment: Segment? {
      files.last?.segments.last.flatMap { $0.to == nil ? $0 : nil }
    }
  }

  package struct Base: Sendable, Equatable, Codable {
    package var generation: GenerationID
    package var file: String
    package var sequence: Int64
    /// Whether the BASE has zero bytes, so a server starts with no keys. It is not encoded in this record,
    /// since `Chain` has its own field for it.
    package var isEmpty = false
    package init(generation: GenerationID, file: String, sequence: Int64, isEmpty: Bool = false) {
      self.generation = generation
      self.file = file
      self.sequence = sequence
      self.isEmpty = isEmpty
    }
    package init(_ index: GenerationIndex, file: String, sequence: Int64) {
      self.init(
        generation: index.generation, file: file, sequence: sequence, isEmpty: index.size == 0)
    }
    private enum CodingKeys: String, CodingKey { case generation, file, sequence }
  }

  /// An INCR, or a legacy AOF, as spans of log.
  package struct LogFile: Sendable, Equatable, Codable {
    package var file: String
    package var sequence: Int64
    /// In order and without a gap, from 0.
    package var segments: [Segment]
    /// Identifies the file on disk, to recognise it after a restart if its BASE is gone.
    package var identity: FileIdentity?
    package init(file: String, sequence: Int64, segments: [Segment], identity: FileIdentity?) {
      self.file = file
      self.sequence = sequence
      self.segments = segments
      self.identity = identity
    }
  }

  /// [from, to) of a file, from the log of one ordinal. `to` is nil for a file that still grows: the log
  /// that continues this snapshot then belongs to it.
  package struct Segment: Sendable, Equatable, Codable {
    package var timeline: TimelineNumber
    package var ordinal: Int
    package var from: UInt64
    package var to: UInt64?
    package init(timeline: TimelineNumber, ordinal: Int, from: UInt64, to: UInt64?) {
      self.timeline = timeline
      self.ordinal = ordinal
      self.from = from
      self.to = to
    }
  }

  package struct Dump: Sendable, Equatable, Codable {
    package var generation: GenerationID
    package var file: String
    package var contentAt: Instant
    /// The end of the log when the dump was pinned. The dump joins a cut only after this position, or exactly
    /// there if the log ends there.
    package var pinnedAt: LogPosition?
    package init(
      generation: GenerationID, file: String, contentAt: Instant, pinnedAt: LogPosition?
    ) {
      self.generation = generation
      self.file = file
      self.contentAt = contentAt
      self.pinnedAt = pinnedAt
    }
  }

  /// Files whose BASE is not in the repository yet. They become readable with the snapshot that has it.
  package struct Detached: Sendable, Equatable, Codable {
    package var form: AOFForm
    package var awaitedBase: String?
    package var files: [LogFile]
    /// True if the awaited BASE is known to have zero bytes. The files alone are then a complete state.
    package var isBaseEmpty: Bool?
    package init(form: AOFForm, awaitedBase: String?, files: [LogFile], isBaseEmpty: Bool? = nil) {
      self.form = form
      self.awaitedBase = awaitedBase
      self.files = files
      self.isBaseEmpty = isBaseEmpty
    }
    /// Whether nothing is missing before the files, because there is no BASE or it is empty. A legacy AOF may
    /// begin with the output of a rewrite, and a part of that is not a state.
    package var isWholeState: Bool {
      guard !files.isEmpty, case .multiPart = form else { return false }
      return awaitedBase == nil || isBaseEmpty == true
    }
  }

  /// A command that removed a whole database, and the position of the log before it.
  package struct Destructive: Sendable, Equatable, Codable {
    package var command: String
    package var before: LogPosition
    package var at: Instant
    package init(command: String, before: LogPosition, at: Instant) {
      self.command = command
      self.before = before
      self.at = at
    }
  }
}

/// How a server stores its AOF.
package enum AOFForm: Sendable, Equatable, Codable {
  /// One file in the data directory (Redis 6 and older).
  case legacy
  /// A directory with a manifest (Redis 7, Valkey).
  case multiPart(directory: String, manifest: String)

  private enum CodingKeys: String, CodingKey { case directory, manifest }
  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    if let directory = try container.decodeIfPresent(String.self, forKey: .directory) {
      self = .multiPart(
        directory: directory, manifest: try container.decode(String.self, forKey: .manifest))
    } else {
      self = .legacy
    }
  }
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    if case .multiPart(let directory, let manifest) = self {
      try container.encode(directory, forKey: .directory)
      try container.encode(manifest, forKey: .manifest)
    }
  }
}

/// A file on one file system: its inode and, if the file system keeps one, its birth time. The birth time
/// distinguishes the same file from another one with a reused inode.
package struct FileIdentity: Hashable, Sendable, Codable {
  package var inode: UInt64
  package var bornSeconds: Int64?
  package var bornNanoseconds: Int64?
  package init(inode: UInt64, bornSeconds: Int64?, bornNanoseconds: Int64?) {
    self.inode = inode
    self.bornSeconds = bornSeconds
    self.bornNanoseconds = bornNanoseconds
  }
  /// Whether equality proves that it is the same file. An inode number alone does not, since it can be
  /// reused.
  package var isProof: Bool { bornSeconds != nil }
  package var born: FileMoment? {
    bornSeconds.map { FileMoment(seconds: $0, nanoseconds: bornNanoseconds ?? 0) }
  }
}

/// One version of a file's content, as far as its file system shows. The same version has the same bytes.
///
/// A growing file has a new version with every write. If a version differs only in its times, the bytes
/// have to be compared: `chown`, `chmod` and a new hard link change only `changed`.
package struct FileVersion: Hashable, Sendable {
  package var identity: FileIdentity
  package var size: UInt64
  /// When the content was last written (mtime).
  package var modified: FileMoment
  /// When the file was last changed in any way, including its owner and links (ctime).
  package var changed: FileMoment
  package init(
    identity: FileIdentity, size: UInt64, modified: FileMoment, changed: FileMoment
  ) {
    self.identity = identity
    self.size = size
    self.modified = modified
    self.changed = changed
  }
}
