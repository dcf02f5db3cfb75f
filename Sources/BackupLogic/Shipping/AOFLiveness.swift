package import BackupTypes

/// Whether a server writes the AOF on disk. A stopped AOF looks perfect: after `CONFIG SET appendonly
/// no`, after a full sync, or when we laid it down ourselves for a server that runs without.
package enum AOFLiveness: String, Sendable, Equatable {
  /// The AOF has everything.
  case live
  /// A dump is younger than the last byte of the AOF: it holds at least as much as the AOF, and
  /// perhaps more. Once it is durable it is what a restore must give.
  case quiet

  /// What is known of the newest dump. `born` is when its temporary file was made, which is after the
  /// fork whose state it holds; `contentAt` is the RDB's own `ctime`, in whole seconds.
  package struct DumpTimes: Sendable, Equatable {
    package var born: FileMoment?
    package var modified: FileMoment
    package var contentAtSeconds: Int64?
    package init(born: FileMoment?, modified: FileMoment, contentAtSeconds: Int64?) {
      self.born = born
      self.modified = modified
      self.contentAtSeconds = contentAtSeconds
    }
  }

  /// `lastWrite` is the modification time of the last INCR (or legacy AOF); nil when the manifest has
  /// no `i` line, and then the AOF of a manifest beside a dump is not live: no server appends to it.
  ///
  /// A stopped AOF was last written before the fork, so `lastWrite < born` never takes a stopped AOF
  /// for a live one. A birth time after the modification time tells of a copied file: it is not used.
  package static func judge(
    lastWrite: FileMoment?, manifestModified: FileMoment?, dump: DumpTimes?
  ) -> AOFLiveness {
    guard let dump else { return .live }
    guard let lastWrite else { return .quiet }
    let newest = max(lastWrite, manifestModified ?? lastWrite)
    if let born = dump.born, born <= dump.modified {
      return newest >= born ? .live : .quiet
    }
    guard let content = dump.contentAtSeconds else {
      return newest >= dump.modified ? .live : .quiet
    }
    return newest.seconds > content ? .live : .quiet
  }
}

/// A file's time stamp in full resolution.
package struct FileMoment: Hashable, Comparable, Sendable {
  package var seconds: Int64
  package var nanoseconds: Int64
  package init(seconds: Int64, nanoseconds: Int64) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }
  package static func < (a: FileMoment, b: FileMoment) -> Bool {
    (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
  }
  package var instant: Instant {
    Instant(seconds: seconds).advanced(byMilliseconds: nanoseconds / 1_000_000)
  }
}
