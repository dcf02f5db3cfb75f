import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import RepositoryAccess

/// The log objects: each one by itself, and those that a reader combines into a log.
extension VerifyPass {
  func verify(_ number: TimelineNumber, ordinal: Int, _ history: History) async throws {
    let all = catalogue.timelines[number]?.log[ordinal] ?? []
    let claim = history.claims[number]
    let named = references.start(of: number, ordinal: ordinal)
    let start = named ?? all.map(\.from).min() ?? 0
    let taken =
      claim == nil ? [] : Array(history.log(of: number, ordinal: ordinal, from: start).spans)
    noteUnnamed(number, ordinal, isNamed: named != nil, isTaken: !taken.isEmpty)
    noteAfterEnd(number, ordinal, all, history)
    var check = LogCheck(
      at: start, scanner: scanner(number, ordinal, from: start, isTaken: !taken.isEmpty),
      stops: references.stops(of: number, ordinal: ordinal))
    // The remaining objects: parts of a fold that are not deleted yet, and objects after the end of the
    // timeline or after a hole.
    let others =
      taken.count < all.count
      ? Set(all).subtracting(taken).sorted { ($0.from, $0.to) < ($1.from, $1.to) } : []
    /// The fold by an object inside it whose bytes, or whose mark at the end, it does not have.
    var differing: [LogSpan: LogSpan] = [:]
    try await verify(chosen(taken), number, ordinal, claim, isNeeded: true) {
      span, payload in
      guard let payload else {
        check.giveUp()
        return
      }
      for part in self.differing(others, from: payload, in: span) { differing[part] = span }
      if let problem = check.consume(payload, span) {
        add(self.damaged(span, number, ordinal, problem), to: .log(number, ordinal: ordinal))
      }
    }
    for (offset, scanner) in check.stopped {
      joins[LogPosition(timeline: number, ordinal: ordinal, offset: offset)] = scanner
    }
    try await verify(chosen(others), number, ordinal, claim, isNeeded: false) {
      span, payload in
      // The part is intact, so one of the two is forged.
      guard payload != nil, let fold = differing[span] else { return }
      add(
        .damaged(
          ObjectPath.log(number, ordinal: ordinal, fold).text,
          "it does not have the bytes or marks of "
            + "\(ObjectPath.log(number, ordinal: ordinal, span).text), which is inside it: one of the "
            + "two is forged", [],
          "a restore may give the bytes of the wrong one; retention deletes neither",
          remedy: "Lifeboat never writes this: find out which one is forged, then delete it"),
        to: .log(number, ordinal: ordinal))
    }
  }

  /// - Parameter others: by their beginnings.
  private func differing(_ others: [LogSpan], from payload: LogPayload, in fold: LogSpan)
    -> [LogSpan]
  {
    var (low, high) = (0, others.count)
    while low < high {
      let middle = (low + high) / 2
      if others[middle].from < fold.from { low = middle + 1 } else { high = middle }
    }
    let parts = others[low...].prefix { $0.from < fold.to }.filter { $0.to <= fold.to }
    return payload.differing(parts, in: fold) { bytes in
      bytes.withUnsafeBytes { repository.frame.digest($0).short }
    }
  }

  private func chosen(_ spans: [LogSpan]) -> [LogSpan] {
    isSample ? spans.filter { _ in chooses() } : spans
  }

  /// The state of Redis's file where this ordinal's log begins.
  private func scanner(
    _ number: TimelineNumber, _ ordinal: Int, from start: UInt64, isTaken: Bool
  ) -> AOFScanner? {
    guard !isSample, isTaken else { return nil }
    if start == 0 { return AOFScanner() }
    let place = LogPosition(timeline: number, ordinal: ordinal, offset: start)
    return references.joins[place].flatMap { joins[$0] }
  }

  private func noteUnnamed(
    _ number: TimelineNumber, _ ordinal: Int, isNamed: Bool, isTaken: Bool
  ) {
    // An unreadable snapshot is a separate finding.
    let isExplained = findings[.timeline(number)]?.contains { $0.isFailure } ?? false
    let isLetGo = letGo.logs.contains(Prune.Log(timeline: number, ordinal: ordinal))
    guard !isNamed, isTaken, !isExplained, !isLetGo else { return }
    add(
      .missing(
        ObjectPath.timeline(number) + "snapshots/",
        "no snapshot names the file of the log \(ordinal); a shipper writes the snapshot before the log",
        [], "this log can't be restored"), to: .log(number, ordinal: ordinal))
  }

  private func noteAfterEnd(
    _ number: TimelineNumber, _ ordinal: Int, _ all: [LogSpan], _ history: History
  ) {
    guard let end = history.end(of: number) else { return }
    let last = end.ordinals.first { $0.ordinal == ordinal }?.offset ?? 0
    let late = all.filter { $0.to > last }
    guard let first = late.first else { return }
    add(
      VerifyFinding(
        .remark, ObjectPath.log(number, ordinal: ordinal, first).text,
        counted(late.count, "object was", "objects were")
          + " added after the end of the timeline: ignored"),
      to: .log(number, ordinal: ordinal))
  }

  private func verify(
    _ spans: [LogSpan], _ number: TimelineNumber, _ ordinal: Int, _ claim: Claim?,
    isNeeded: Bool, take: (LogSpan, LogPayload?) -> Void
  ) async throws {
    try await read(
      spans, .log, limit: LogPayload.sizeMax, name: { .log(number, ordinal: ordinal, $0) }
    ) { span, reading in
      let group = VerifyGroup.log(number, ordinal: ordinal)
      switch reading {
      case .gone:
        // Objects that a fold replaced are deleted. Only the listing shows whether one is missing.
        add(
          .missing(
            ObjectPath.log(number, ordinal: ordinal, span).text, "it was listed, but is missing",
            isNeeded
              ? references.uses(of: number, ordinal: ordinal, behind: span.from).points : [],
            "for these snapshots, only the data before it can be restored"), to: group)
        take(span, nil)
      case .damaged(let reason):
        add(damaged(span, number, ordinal, reason, isNeeded: isNeeded), to: group)
        take(span, nil)
      case .content(let opened):
        let payload = examine(opened.content, span, number, ordinal, claim, isNeeded: isNeeded)
        take(span, payload)
      }
    }
  }

  /// The payload, if nothing is wrong with it.
  private func examine(
    _ content: [UInt8], _ span: LogSpan, _ number: TimelineNumber, _ ordinal: Int, _ claim: Claim?,
    isNeeded: Bool
  ) -> LogPayload? {
    let group = VerifyGroup.log(number, ordinal: ordinal)
    let payload: LogPayload
    do throws(LifeboatError) {
      payload = try LogPayload(decoding: content, span: span)
    } catch {
      add(damaged(span, number, ordinal, error.reason, isNeeded: isNeeded), to: group)
      return nil
    }
    guard repository.frame.digest(payload.bytes).short == span.digest else {
      add(
        damaged(
          span, number, ordinal, "it does not match the digest in its name", isNeeded: isNeeded),
        to: group)
      return nil
    }
    guard let claim, payload.nonce != claim.nonce else { return payload }
    if isNeeded {
      add(
        damaged(
          span, number, ordinal,
          "it was not written by the shipper of its timeline: there were two shippers, and "
            + "the store allows overwriting objects"), to: group)
    } else {
      add(
        VerifyFinding(
          .remark, ObjectPath.log(number, ordinal: ordinal, span).text,
          "it was not written by the shipper of its timeline; no restore point needs it"), to: group
      )
    }
    return nil
  }

  private func damaged(
    _ span: LogSpan, _ number: TimelineNumber, _ ordinal: Int, _ reason: String,
    isNeeded: Bool = true
  ) -> VerifyFinding {
    let path = ObjectPath.log(number, ordinal: ordinal, span)
    if isNeeded, catalogue.hasElsewhere(path) {
      return .damaged(
        path.text, reason, [], "it is ignored; other objects have its bytes",
        remedy: "recover it from a copy, or delete it; if Lifeboat never wrote it, find out who did"
      )
    }
    let uses = references.uses(of: number, ordinal: ordinal, behind: span.from)
    return .damaged(
      ObjectPath.log(number, ordinal: ordinal, span).text, reason, isNeeded ? uses.points : [],
      isNeeded
        ? "for these snapshots, only the data before offset \(span.from) can be restored"
        : "no restore point needs it")
  }
}
