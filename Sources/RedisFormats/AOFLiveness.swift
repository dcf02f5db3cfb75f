package import BackupTypes

/// Whether a server writes to the AOF on disk. The files of a stopped AOF show no difference: after `CONFIG
/// SET appendonly no`, after a full sync, or after a restore for a server that runs without AOF.
package enum AOFLiveness: String, Sendable, Equatable {
  /// The AOF has everything.
  case live
  /// A dump is newer than the last byte of the AOF. It has at least as much data as the AOF, and perhaps
  /// more. Once it is durable, a restore must give it.
  case quiet
  /// The times contradict each other: one of them is in the future, or the dump was complete before it began,
  /// so a clock was set. The AOF stays the primary, and the dump is shipped, too.
  case unknown

  /// The times of the newest dump. `born` is the creation time of its temporary file, which is after the fork
  /// that saves it. `contentAt` is the RDB's own `ctime`, in whole seconds.
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

  /// A timestamp that is further ahead of the clock than this is from a different clock, in milliseconds.
  private static let aheadMax: Int64 = 2000

  /// Judges by the timestamps of the files. They only decide if nothing was observed. If the log was seen to
  /// grow after the look that first showed the dump, the AOF is live, whatever the timestamps say.
  ///
  /// `lastWrite` is the modification time of the last INCR (or legacy AOF). It is nil if the manifest has no
  /// `i` line. An AOF beside a dump is then not live, since no server appends to it.
  ///
  /// A stopped AOF was last written before the fork, so `lastWrite < born` never takes a stopped AOF for a
  /// live one. A birth time after the modification time shows that the file was copied, so it is not used. If
  /// the log was copied, the dump beside it may have been copied with it and overwritten in place later. Its
  /// birth time then says nothing about a fork either.
  ///
  /// - Parameter logBorn: the birth time of the last INCR (or legacy AOF), if known.
  /// - Parameter now: the clock when the files were looked at. If nil, the timestamps are not compared with
  ///   it.
  package static func judge(
    lastWrite: FileMoment?, logBorn: FileMoment? = nil, manifestModified: FileMoment?,
    dump: DumpTimes?, now: Instant? = nil
  ) -> AOFLiveness {
    guard let dump else { return .live }
    guard let lastWrite else { return .quiet }
    let newest = max(lastWrite, manifestModified ?? lastWrite)
    if let now {
      let last = max(newest, dump.modified, dump.born ?? newest).instant
      if last.since(now) > aheadMax { return .unknown }
    }
    // It must have been forked before it was complete, so a clock was set back in between.
    if let content = dump.contentAtSeconds, content > dump.modified.seconds { return .unknown }
    let isLogCopied = logBorn.map { $0 > lastWrite } ?? false
    if let born = dump.born, born <= dump.modified, !isLogCopied {
      return newest >= born ? .live : .quiet
    }
    // The AOF was written after the dump was complete. A time in whole seconds was set by a restore.
    let isWhole = dump.modified.nanoseconds == 0
    if isWhole ? newest.seconds > dump.modified.seconds : newest >= dump.modified { return .live }
    return dump.contentAtSeconds.map { newest.seconds > $0 } ?? false ? .live : .quiet
  }
}
