import BackupFormat
import BackupTypes

/// Restore points just before something in the log.
extension Answering {
  package struct Found: Sendable {
    package var occurrence: LogSearch.Occurrence
    package var point: RestorePoint
  }

  /// `--before`: the state just before the last `command`. Follows the ancestry of the newest timeline, as
  /// for a time.
  func last(before command: String, in selected: TimelineNumber?) throws -> Answer {
    guard let newest = try selected.map({ try self.newest(of: require($0)) }) ?? self.newest()
    else {
      throw LifeboatError(
        .noBackup,
        selected.map { "timeline \($0) has no restore point" } ?? "there is no restore point yet",
        hint: "`lifeboat list` shows the restore points")
    }
    var all: [Found] = []
    var isSearched = false
    var isAll = true
    try search(.command(command), from: newest.snapshot, followsAncestry: selected == nil) {
      found, leftOut in
      isSearched = true
      isAll = isAll && leftOut == 0
      all = found + all
      // Everything is searched only if the last one can't be used, to show the others.
      return all.last.map { $0.occurrence.keysBefore == 0 } ?? true
    }
    let name = printable(command)
    guard let last = all.last else {
      if let lost = try lost(of: newest.timeline, from: nil, until: now) {
        throw try self.lost("there is no \(name) in the log, but part of the log is lost", lost)
      }
      if let loss = newest.lostCopy {
        throw LifeboatError(
          .corrupt, "there is no \(name) in the log that can be restored",
          cause: "\(loss.what): their log was not read",
          hint: "`lifeboat verify` says what is damaged; choose a time before that with --at")
      }
      throw LifeboatError(
        .noBackup, "there is no \(name) in the log",
        cause: isSearched
          ? "the log of every restore point was read"
          : "no restore point has a log: there are only dumps",
        hint: "`lifeboat inspect` shows what removed data; choose a time with --at")
    }
    guard last.occurrence.keysBefore == 0 else {
      var point = last.point
      if let loss = newest.lostCopy {
        point.warning = "a later \(name) may be among what can't be restored: \(loss.what)"
      }
      if let lost = try lost(of: newest.timeline, from: point, until: now) ?? lost(in: point) {
        point.warning =
          "log after this \(name) is lost, and may have contained a later one (\(lost.loss.what))"
      }
      return .point(point, .command)
    }
    let listed = all.suffix(20).map {
      "--point \($0.point.id) (\($0.occurrence.at), \(counted($0.occurrence.keysBefore, "key")))"
    }
    return .nothing(
      LifeboatError(
        .suspect, "there were no keys before the last \(name), of \(last.occurrence.at)",
        cause: "\(all.count)\(isAll ? "" : " or more") in the log: "
          + listed.joined(separator: ", "),
        hint: "choose one with --point ID"))
  }

  /// A week of hourly rewrites has 168 chains. Reading all of them would take too long.
  private static let chainsMax = 8

  /// The commands that removed data before `point`, according to the log: that of the point's own chain or,
  /// if it shows none, that of the newest earlier chain with any. At most a few chains are searched.
  package func drops(before point: RestorePoint) throws -> [Found] {
    var drops: [Found] = []
    var chains = 0
    try search(.drops, from: point.snapshot, followsAncestry: true) { found, _ in
      drops = found + drops
      chains += 1
      return drops.isEmpty && chains < Answering.chainsMax
    }
    return drops
  }

  /// Searches the log of `newest`, and of the snapshots before it in its timeline and that timeline's
  /// ancestors. `take` is called for each chain, with the part of it that no later chain has. It returns
  /// whether to continue.
  private func search(
    _ question: LogSearch.Question, from newest: Snapshot, followsAncestry: Bool,
    take: (_ found: [Found], _ leftOut: Int) -> Bool
  ) throws {
    struct Log: Hashable {
      var timeline: TimelineNumber
      var ordinal: Int
    }
    var searched: Set<Log> = []
    var fork: LogPosition?
    var timeline: TimelineNumber? = newest.timeline
    while let number = timeline {
      for (_, snapshot) in try evidence.all(number).sorted(by: { $0.key > $1.key })
      where snapshot.primary == .aof && snapshot.key <= newest.key {
        guard let chain = snapshot.chain else { continue }
        let logs = Set(
          chain.files.flatMap(\.segments).map { Log(timeline: $0.timeline, ordinal: $0.ordinal) })
        guard !logs.isSubset(of: searched) else { continue }
        let search = try evidence.search(question, snapshot.key)
        let found = search.occurrences.filter { one in
          if let fork, one.before.timeline == number, one.before >= fork { return false }
          return !searched.contains(
            Log(timeline: one.before.timeline, ordinal: one.before.ordinal))
        }
        searched.formUnion(logs)
        let points = found.map {
          Found(
            occurrence: $0,
            point: RestorePoint(
              snapshot: snapshot, primary: .aof, cut: $0.before, instant: $0.at))
        }
        guard take(points, search.leftOut) else { return }
      }
      let claim = history.claims[number]
      fork = claim?.fork
      timeline = followsAncestry ? claim?.parent : nil
    }
  }
}
