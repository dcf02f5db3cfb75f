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
  package var born: FileMoment?
  package var identity: FileIdentity
  package init(
    pin: PinID, name: String, size: UInt64, modified: FileMoment, born: FileMoment?,
    identity: FileIdentity
  ) {
    self.pin = pin
    self.name = name
    self.size = size
    self.modified = modified
    self.born = born
    self.identity = identity
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
package struct CaptureView: Sendable, Equatable {
  /// When it was over: every byte that it has was written by then.
  package var at: Instant
  package var dump: PinnedFile?
  package var aof: AOFView
  package init(at: Instant, dump: PinnedFile?, aof: AOFView) {
    self.at = at
    self.dump = dump
    self.aof = aof
  }
  /// The same, but for when it was taken.
  package func isSame(as other: CaptureView) -> Bool { dump == other.dump && aof == other.aof }
}
