package import BackupTypes

/// Whether a server writes the AOF on disk. A stopped AOF looks perfect: after `CONFIG SET appendonly no`,
/// after a full sync, or after a restore for a server that runs without AOF.
package enum AOFLiveness: String, Sendable, Equatable {
  /// The AOF has everything.
  case live
  /// A dump is younger than the last byte of the AOF: it holds at least as much as the AOF, and perhaps
  /// more. Once it is durable, a restore must give it.
  case quiet
  /// The times are contradictory: one of them lies in the future, or the dump was
  /// complete before it began, so a clock was set. The AOF stays
  /// the primary, and the dump is shipped, too.
  case unknown

  /// The times of the newest dump. `born` is the creation time of its temporary file, which is after the
  /// fork whose state it holds. `contentAt` is the RDB's own `ctime`, in whole seconds.
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

  /// A time stamp that is further ahead of the clock than this was made under another clock; milliseconds.
  private static let aheadMax: Int64 = 2000

  /// Judges by the time stamps of the files. They decide only if nothing was observed: once the log was
  /// seen to grow after the look that first showed the dump, the AOF is live, whatever the time stamps say.
  ///
  /// `lastWrite` is the modification time of the last INCR (or legacy AOF). It is nil if the manifest has
  /// no `i` line. Then the AOF beside a dump is not live, since no server appends to it.
  ///
  /// A stopped AOF was last written before the fork, so `lastWrite < born` never takes a stopped AOF for a
  /// live one. A birth time after the modification time shows that the file was copied, and is not used. If
  /// that of the log shows that it was copied, the dump beside it was perhaps copied with it, and overwritten in
  /// place since then: its birth says nothing about a fork, either.
  ///
  /// - Parameter logBorn: the birth time of the last INCR (or legacy AOF), if known.
  /// - Parameter now: the clock when the files were looked at; nil: the time stamps are not compared with
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
    // It was forked before it was complete, so between the two a clock was set back.
    if let content = dump.contentAtSeconds, content > dump.modified.seconds { return .unknown }
    let isLogCopied = logBorn.map { $0 > lastWrite } ?? false
    if let born = dump.born, born <= dump.modified, !isLogCopied {
      return newest >= born ? .live : .quiet
    }
    // The AOF was written when the dump was complete. A time of a whole second is one that a restore set.
    let isWhole = dump.modified.nanoseconds == 0
    if isWhole ? newest.seconds > dump.modified.seconds : newest >= dump.modified { return .live }
    return dump.contentAtSeconds.map { newest.seconds > $0 } ?? false ? .live : .quiet
  }
}
