package import BackupFormat
import BackupTypes

/// The dump that is restored beside a log, for a server that runs without AOF.
extension RestorePlanner {
  /// Whether it is certain that a dump has no changes from after the cut. It is if all of this is true, where
  /// one of the second and the third is enough:
  ///
  /// - The position of the log when the dump was pinned is known, and lies in the chain or before it.
  /// - The log was seen to be longer than that, at the cut or before it. A server can save the effect of a
  ///   command before it has written the command to the log: FLUSHALL saves its empty dump first, so the
  ///   position of the dump is the end of the log before FLUSHALL. By the next size that is seen, the server
  ///   has written the commands that are in the dump. The same is true in a later file, because a server
  ///   writes everything to a file before it opens the next one.
  /// - Or no log follows: the dump was pinned at the end of the log, and the cut is at this position.
  /// - The dump is not newer than the state.
  package func precedesCut(_ dump: Snapshot.Dump) -> Bool {
    guard let chain = point.snapshot.chain, let cut = point.cut, let pinned = dump.pinnedAt,
      dump.contentAt <= point.instant, let end = chain.place(of: cut)
    else { return false }
    guard let start = chain.place(of: pinned) else { return chain.begins(after: pinned) }
    guard start.file == end.file else { return start.file < end.file }
    guard start.offset < end.offset else {
      return start.offset == end.offset && !goesOn(chain, behind: cut)
    }
    return history.chain(of: point.snapshot).marks.contains { mark in
      guard let seen = chain.place(of: mark.position) else { return false }
      return seen.file == end.file && start.offset < seen.offset && seen.offset <= end.offset
    }
  }

  /// Whether a dump joins the cut: it precedes the cut, and holds keys. A dump without keys never joins,
  /// since a server without AOF would start empty on it although the log has keys. An older copy is used
  /// instead.
  package func joins(_ dump: Snapshot.Dump) -> Bool {
    guard precedesCut(dump), let index = indexes[dump.generation] else { return false }
    return !lacksKeys(index)
  }

  /// FLUSHALL keeps functions, so its dump may have some.
  private func lacksKeys(_ index: GenerationIndex) -> Bool {
    index.dataset.map { $0.keys == 0 } ?? (index.size == 0)
  }

  /// Whether to look for an earlier dump, because the newest does not join.
  package var lacksDump: Bool {
    guard point.primary == .aof, point.cut != nil, let dump = point.snapshot.dump else {
      return false
    }
    return !joins(dump)
  }

  /// Uses the newest dump that joins. If the BASE is newer, or if no dump joins, the BASE is used instead.
  func joinDump(_ chain: Snapshot.Chain, _ names: ServerNames, _ plan: inout RestorePlan) {
    noteLeftOut(&plan)
    let position = plan.files.firstIndex { $0.role == .base }
    var base: GenerationIndex?
    if let position, case .generation(let index) = plan.files[position].content,
      index.verdict == .unverified || index.dataset.map({ !$0.isEmpty }) ?? false
    {
      base = index
    }
    for (number, dump) in dumps.enumerated() where joins(dump) {
      let isInChain = dump.pinnedAt.flatMap { chain.place(of: $0) } != nil
      guard number == 0 || isInChain || base == nil else { break }
      guard let index = sound(dump, &plan) else { continue }
      lay(dump, index, names, &plan)
      return
    }
    // No dump joins. The BASE is used instead if it is an RDB, so that a server without AOF does not start
    // empty.
    if let position, let base {
      plan.files.append(
        .init(
          directory: nil, name: names.dump, role: .dump,
          content: .same(position, mustCopy: false), size: base.size))
      plan.loadsWithNo = base.contentAt
      if options.appendOnly == .unknown {
        plan.warnings.append(
          "a server with `appendonly no` would load only the BASE of the AOF, of \(base.contentAt)"
        )
      }
      return
    }
    plan.warnings.append(
      "a server with `appendonly no` would start EMPTY with this restore point: it has no dump; "
        + "start Redis with `appendonly yes`")
  }

  private var dumps: [Snapshot.Dump] { [point.snapshot.dump].compactMap { $0 } + earlierDumps }

  private func lay(
    _ dump: Snapshot.Dump, _ index: GenerationIndex, _ names: ServerNames,
    _ plan: inout RestorePlan
  ) {
    plan.files.append(
      .init(
        directory: nil, name: names.dump, role: .dump, content: .generation(index),
        size: index.size))
    noteVerdict(index, &plan)
    plan.loadsWithNo = dump.contentAt
    let age = point.instant.since(dump.contentAt)
    if options.appendOnly == .unknown, age > 0 {
      plan.warnings.append(
        "a server with `appendonly no` would load the dump of \(dump.contentAt), which is "
          + "\(humanDuration(milliseconds: age)) older")
    }
  }

  /// Reports a damaged dump, and a newest dump without keys, since an older copy is used instead.
  private func noteLeftOut(_ plan: inout RestorePlan) {
    for dump in dumps {
      if let reason = damaged[dump.generation] { noteDamage(reason, &plan) }
    }
    guard options.appendOnly == .unknown, let dump = point.snapshot.dump,
      let index = indexes[dump.generation], lacksKeys(index)
    else { return }
    plan.warnings.append(
      "the dump of \(dump.contentAt) next to the log has no keys, as after FLUSHALL: it is left "
        + "out")
  }

  /// A dump next to a log is useful only to a server without AOF. The state does not depend on it.
  private func sound(_ dump: Snapshot.Dump, _ plan: inout RestorePlan) -> GenerationIndex? {
    do {
      return try generation(dump.generation)
    } catch {
      noteDamage(error.cause ?? error.message, &plan)
      return nil
    }
  }

  private func noteDamage(_ reason: String, _ plan: inout RestorePlan) {
    plan.warnings.append(
      "the dump next to the log is left out: \(reason); `lifeboat verify` says what is wrong with it"
    )
  }

  /// Whether the log continues after the cut, or continued before that part was lost. A dump that was pinned
  /// exactly at the cut may contain the effect of the next command.
  private func goesOn(_ chain: Snapshot.Chain, behind cut: LogPosition) -> Bool {
    let finder = LossFinder(history, snapshots: [point.snapshot])
    return history.log(of: cut.timeline, ordinal: cut.ordinal, from: cut.offset).reached
      > cut.offset
      || chain.files.flatMap(\.segments).contains {
        ($0.timeline, $0.ordinal) > (cut.timeline, cut.ordinal)
          || ($0.timeline == cut.timeline && $0.ordinal == cut.ordinal
            && finder.durableEnd(of: $0, in: point.snapshot) > cut.offset)
      }
  }
}

extension Snapshot.Chain {
  /// The number of the file that contains a position, and the offset in it; nil if the position is not in
  /// the chain: it is before the chain, or after the position where another timeline forked off.
  func place(of position: LogPosition) -> (file: Int, offset: UInt64)? {
    for (number, file) in files.enumerated() {
      for segment in file.segments
      where segment.timeline == position.timeline && segment.ordinal == position.ordinal {
        let isLast = segment == file.segments.last
        guard isLast || segment.to.map({ position.offset <= $0 }) ?? true else { return nil }
        return (number, position.offset)
      }
    }
    return nil
  }

  /// Whether its first file was opened after the log had reached `position`.
  func begins(after position: LogPosition) -> Bool {
    guard let first = files.first?.segments.first else { return false }
    return (position.timeline, position.ordinal) < (first.timeline, first.ordinal)
  }
}
