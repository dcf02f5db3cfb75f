package import BackupFormat
package import BackupTypes

/// A claim that can't be read: it does not parse, fails authentication, is inconsistent, or is gone
/// although its timeline has objects. Only its number counts.
package struct UnreadableClaim: Sendable, Equatable {
  package var timeline: TimelineNumber
  package var reason: String
  /// How many snapshots and log objects its timeline has. 0: nothing was ever shipped under it.
  package var objects: Int
  package init(timeline: TimelineNumber, reason: String, objects: Int) {
    self.timeline = timeline
    self.reason = reason
    self.objects = objects
  }
}

/// What a reader can't know because of claims that can't be read.
extension History {
  /// Whether a later writer has passed the claim with this number. A writer passes only claims that it can't
  /// read, and continues a timeline below. So the next readable claim above has a parent below this number,
  /// and its timeline contains nothing of the passed one. For example, claim 4 has the parent 2: claim 3 was
  /// passed, and may be deleted.
  package func isPassed(_ number: TimelineNumber) -> Bool {
    History.isPassed(number, claims.values)
  }

  package static func isPassed(_ number: TimelineNumber, _ claims: some Collection<Claim>) -> Bool {
    guard let next = claims.filter({ $0.timeline > number }).min(by: { $0.timeline < $1.timeline })
    else { return false }
    return next.parent.map { $0 < number } ?? !claims.contains { $0.timeline < number }
  }

  /// The first unreadable claim that may hide history after the newest readable claim, or history that this
  /// one continues.
  package var notPassed: UnreadableClaim? { unreadable.first { !isPassed($0.timeline) } }

  /// An unreadable claim that is needed to know the state at a time.
  func hiding(_ instant: Instant) -> UnreadableClaim? {
    unreadable.first { hidden in
      let isPassed = isPassed(hidden.timeline)
      if isPassed, hidden.objects == 0 { return false }
      let before = claims.values.filter { $0.timeline < hidden.timeline }.map(\.claimedAt).max()
      let after = claims.values.filter { $0.timeline > hidden.timeline }.map(\.claimedAt).min()
      if let before, instant < before { return false }
      return !isPassed || after.map { instant < $0 } ?? true
    }
  }

  /// An unreadable claim among the ancestors of `timeline`.
  func unreadableAncestor(of timeline: TimelineNumber) -> UnreadableClaim? {
    var number: TimelineNumber? = timeline
    while let current = number {
      if let found = unreadable.first(where: { $0.timeline == current }) { return found }
      number = claims[current]?.parent
    }
    return nil
  }

  /// An unreadable claim that is needed to read the log of a snapshot.
  func unreadable(in snapshot: Snapshot) -> UnreadableClaim? {
    guard !unreadable.isEmpty else { return nil }
    let files = (snapshot.chain?.files ?? []) + (snapshot.detached?.files ?? [])
    let needed = Set(files.flatMap(\.segments).map(\.timeline))
    return unreadable.first { needed.contains($0.timeline) }
  }
}

/// Questions that can't be answered because a claim can't be read.
extension Answering {
  func refuseHidden(by question: Question) throws {
    guard !history.unreadable.isEmpty else { return }
    let hidden: UnreadableClaim? =
      switch question {
      case .newest: history.notPassed
      case .timeline(let number), .unfinished(let number): try hidden(timeline: number)
      case .at(let instant, nil): history.hiding(instant)
      case .before(_, nil): history.unreadable.first { $0.objects > 0 } ?? history.notPassed
      case .at(_, let number?), .before(_, let number?): history.unreadableAncestor(of: number)
      case .point(let id): try hidden(point: id)
      }
    if let hidden { throw try unreadable(hidden) }
  }

  /// An unreadable claim that is needed by the snapshots of a timeline, from the last one back to one with a
  /// restore point.
  private func hidden(timeline number: TimelineNumber) throws -> UnreadableClaim? {
    if let own = history.unreadable.first(where: { $0.timeline == number }) { return own }
    for sequence in history.snapshots(of: number).reversed() {
      guard let snapshot = try evidence.snapshot(SnapshotKey(number, sequence)) else { continue }
      if let found = history.unreadable(in: snapshot) { return found }
      if finder(of: snapshot).newest() != nil { return nil }
    }
    return nil
  }

  private func hidden(point id: String) throws -> UnreadableClaim? {
    guard let key = PointID(id)?.snapshot else { return nil }
    if let own = history.unreadable.first(where: { $0.timeline == key.timeline }) { return own }
    guard history.snapshots(of: key.timeline).contains(key.sequence) else { return nil }
    return try evidence.snapshot(key).flatMap { history.unreadable(in: $0) }
  }

  /// Says what can be restored without it.
  private func unreadable(_ claim: UnreadableClaim) throws -> LifeboatError {
    var around: String?
    for number in history.claims.keys.sorted(by: >) {
      guard try hidden(timeline: number) == nil, let point = try? newest(of: number) else {
        continue
      }
      around =
        "`restore --timeline \(number)` gives the newest state of the whole timeline \(number), of "
        + "\(point.instant)"
      break
    }
    let name = ObjectPath.claim(claim.timeline).text
    return LifeboatError(
      .corrupt,
      "the claim of timeline \(claim.timeline) can't be used, and the answer depends on it",
      cause: claim.reason + (claim.objects == 0 ? "; nothing was shipped under it" : ""),
      hint: (around.map { $0 + "; " } ?? "")
        + "recover \(name) from a copy or an older version; if Lifeboat never wrote it, a running "
        + "`lifeboat ship` skips it, and deleting it is safe")
  }
}
