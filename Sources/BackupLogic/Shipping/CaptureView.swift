package import BackupFormat
package import BackupTypes

/// Names a descriptor that the capture holds open; never reused within a process.
package struct PinID: Hashable, Sendable {
  package var value: Int
  package init(_ value: Int) { self.value = value }
}

/// A file of Redis that is held open, so that its content stays readable when its name is gone.
package struct PinnedFile: Sendable, Equatable {
  package var pin: PinID
  package var name: String
  package var size: UInt64
  package var modified: FileMoment
  /// When anything of the file was last changed, its owner and its links included.
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

/// One AOF set, pinned: every file that one manifest names, the manifest read before and after.
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
  /// Ascending; a legacy AOF is the one entry.
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
  /// Something is there that is not yet a set (a zero-length, partial or unknown manifest, a file of
  /// it missing). Never "no AOF".
  case unsettled(String)
  case set(AOFSetView)

  package var set: AOFSetView? {
    if case .set(let set) = self { return set }
    return nil
  }
}

/// One look at the data directory.
package struct CaptureView: Sendable {
  /// When it was over: every byte that it has was written by then.
  package var at: Instant
  package var dump: PinnedFile?
  package var aof: AOFView
  /// Every file that is held open, under a name or not: what is still written to a deleted file is
  /// still shipped.
  package var held: [PinID: PinnedFile]
  /// The path leads to another directory than the one whose files are held; whether that holds anything
  /// of Redis.
  package var otherDirectory: (isThere: Bool, holdsFiles: Bool) = (false, false)
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
  /// The same, but for when it was taken.
  package func isSame(as other: CaptureView) -> Bool { dump == other.dump && aof == other.aof }
}
