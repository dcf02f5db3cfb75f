package import BackupFormat
package import BackupTypes

/// Identifies a file that the capture holds open. An id is never reused within a process.
package struct PinID: Hashable, Sendable {
  package var value: Int
  package init(_ value: Int) { self.value = value }
}

/// A Redis file that is held open, so that its content stays readable after its name is gone.
package struct PinnedFile: Sendable, Equatable {
  package var pin: PinID
  package var name: String
  package var size: UInt64
  package var modified: FileMoment
  /// When the file was last changed in any way, including its owner and links.
  package var changed: FileMoment
  package var born: FileMoment?
  package var identity: FileIdentity
  package init(
    pin: PinID, name: String, size: UInt64, modified: FileMoment, born: FileMoment?,
    identity: FileIdentity, changed: FileMoment? = nil
  ) {
    self.pin = pin
    self.name = name
    self.size = size
    self.modified = modified
    self.changed = changed ?? modified
    self.born = born
    self.identity = identity
  }
  package var version: FileVersion {
    FileVersion(identity: identity, size: size, modified: modified, changed: changed)
  }
}

/// One AOF set: every file that one manifest names, all held open. The manifest is read before and after the
/// files are opened.
package struct AOFSetView: Sendable, Equatable {
  package struct Entry: Sendable, Equatable {
    package var file: PinnedFile
    package var sequence: Int64
    package init(file: PinnedFile, sequence: Int64) {
      self.file = file
      self.sequence = sequence
    }
  }
  package var form: AOFForm
  package var base: Entry?
  /// In ascending order; a legacy AOF is a single entry.
  package var increments: [Entry]
  package var manifestModified: FileMoment?
  package init(
    form: AOFForm, base: Entry?, increments: [Entry], manifestModified: FileMoment?
  ) {
    self.form = form
    self.base = base
    self.increments = increments
    self.manifestModified = manifestModified
  }
}

package enum AOFView: Sendable, Equatable {
  case absent
  /// There is something, but not a complete set yet: a manifest that is empty, partial or unknown, or a
  /// missing file. This never means "no AOF".
  case unsettled(String)
  case set(AOFSetView)

  package var set: AOFSetView? {
    if case .set(let set) = self { return set }
    return nil
  }
}

/// Where files are in the replication history of a server.
package struct LinkView: Sendable, Equatable {
  /// The server's `master_replid`.
  package var id: String
  /// The offset before the first byte of each file, by name.
  package var starts: [String: UInt64]
  package init(id: String, starts: [String: UInt64]) {
    self.id = id
    self.starts = starts
  }
  /// The position of a snapshot whose chain ends with that file.
  func position(of file: String?) -> Snapshot.Link? {
    file.flatMap { starts[$0] }.map { Snapshot.Link(id: id, offset: $0) }
  }
}

/// One look at the data directory.
package struct CaptureView: Sendable {
  /// When the look ended. Every byte that it found had been written by then.
  package var at: Instant
  package var dump: PinnedFile?
  package var aof: AOFView
  /// Every file that is held open, with or without a name. If a server still writes to a deleted file, its
  /// bytes are still shipped.
  package var held: [PinID: PinnedFile]
  /// Whether the path leads to another directory than the one whose files are held, and whether that
  /// directory holds Redis files.
  package var otherDirectory: (isThere: Bool, holdsFiles: Bool) = (false, false)
  /// Where the files of the set are in a server's replication history. Nil for files on disk.
  package var link: LinkView?
  /// A client of the server used WAIT, and waits until this data is durable.
  package var isAwaited = false
  package init(
    at: Instant, dump: PinnedFile?, aof: AOFView, held: [PinID: PinnedFile] = [:]
  ) {
    self.at = at
    self.dump = dump
    self.aof = aof
    self.held = held
  }
  /// The files that a server would load.
  package var files: [PinnedFile] {
    (aof.set.map { [$0.base?.file].compactMap { $0 } + $0.increments.map(\.file) } ?? [])
      + [dump].compactMap { $0 }
  }
  /// Whether both looks found the same, regardless of when.
  package func isSame(as other: CaptureView) -> Bool { dump == other.dump && aof == other.aof }
}
