import BackupFormat
import BackupTypes
import RedisFormats

/// Whether the AOF is live, and what that means for the dump beside it.
extension Writing {
  mutating func judgeLiveness() {
    // An incomplete set says nothing about a server's AOF.
    if case .unsettled = view.aof { return }
    dump.noteGrowth(view)
    // An observation counts more than times: a log that grew after the dump appeared is live, even if the
    // clock was changed in between.
    let judged =
      dump.hasLogGrown
      ? .live
      : AOFLiveness.judge(
        lastWrite: view.aof.set?.increments.last?.file.modified,
        logBorn: view.aof.set?.increments.last?.file.born,
        manifestModified: view.aof.set?.manifestModified,
        dump: view.dump.map {
          .init(born: $0.born, modified: $0.modified, contentAtSeconds: dumpContentSeconds)
        }, now: view.at)
    let since = liveness.since ?? view.at
    switch judged {
    case .live: liveness = .live
    case .quiet: liveness = .quiet(since: since)
    case .unknown:
      if !liveness.isUnknown {
        warnings.append(
          "the dump or the AOF has a modification time in the future: the clock was set back. The AOF "
            + "counts as the newest state; the dump is uploaded as well")
      }
      liveness = .unknown(since: since)
    }
  }

  /// The log was copied, and perhaps the dump with it: its birth time says nothing about its save.
  var isLogCopied: Bool {
    guard let file = view.aof.set?.increments.last?.file, let born = file.born else { return false }
    return born > file.modified
  }

  private var dumpContentSeconds: Int64? {
    guard let durable = dump.durable, durable.isRead(from: view.dump) else { return nil }
    return durable.record.contentAt.milliseconds / 1000
  }

  mutating func noteDumpPosition() {
    dump.notePosition(view, uploading: uploadingPin, log: logPosition)
  }

  /// Whether the durable log of the followed chain holds everything that the dump does.
  var hasCaughtUp: Bool { chains.hasCaughtUp(with: dump.covered, claim.timeline) }
}
