package import BackupFormat
package import BackupTypes

/// Decides which snapshots a policy keeps. It keeps everything that was kept at any time within the last
/// grace period. So a restore that was planned in this time, or a shipper that compared its disk, still finds
/// its objects.
package struct Retention: Sendable {
  private let basis: RetentionBasis
  private let policy: RetentionPolicy
  private let candidates: [TimelineNumber: Candidates]
  private let byTimeline: [TimelineNumber: [Int: Snapshot]]

  /// The snapshots that are kept, and the reason if it matters for what they need.
  package struct Kept: Sendable, Equatable {
    package var snapshots: Set<SnapshotKey> = []
    /// Snapshots for which the dump next to their chain is kept, too: a shipper compares with it and reuses
    /// it, or it is pinned.
    package var whole: Set<SnapshotKey> = []
    /// The first restore point of all that is kept.
    package var first: Instant?
    /// What is kept although the policy would not keep it.
    package var held: [Held] = []
  }

  /// A state that is kept beyond the policy.
  package struct Held: Sendable, Equatable {
    /// Nil for the newest state. Redis's own disk has that, too, until a rewrite or a new dump replaces it.
    package var pin: (id: String, until: Instant)?
    /// The earliest time whose data is in it.
    package var from: Instant
    package static func == (a: Held, b: Held) -> Bool {
      a.pin?.id == b.pin?.id && a.pin?.until == b.pin?.until && a.from == b.from
    }
  }

  package init(_ basis: RetentionBasis, _ policy: RetentionPolicy) {
    self.basis = basis
    self.policy = policy
    byTimeline = basis.byTimeline
    var candidates: [TimelineNumber: Candidates] = [:]
    for (number, snapshots) in byTimeline {
      candidates[number] = Candidates(basis.history, number, snapshots)
    }
    self.candidates = candidates
  }

  /// Since when everything is kept.
  package var fullSince: Instant { Retention.fullSince(basis.now, policy) }

  package static func fullSince(_ now: Instant, _ policy: RetentionPolicy) -> Instant {
    now.advanced(byMilliseconds: -RetentionPolicy.grace).advanced(
      byMilliseconds: -policy.keepWithin)
  }

  package func kept() -> Kept {
    var kept = Kept()
    keepYoungAndForeign(&kept)
    keepWithin(&kept)
    keepDumps(&kept)
    keepDaily(&kept)
    let byPolicy = kept.snapshots
    keepNewest(&kept, byPolicy)
    keepCounted(&kept)
    keepPinned(&kept, byPolicy)
    kept.first =
      kept.snapshots.compactMap { key in
        basis.snapshots[key].flatMap { snapshot in
          snapshot.primary == nil ? nil : window(of: key)?.from ?? snapshot.at
        }
      }.min()
    return kept
  }

  private func window(of key: SnapshotKey) -> (from: Instant, to: Instant)? {
    candidates[key.timeline]?.windows[key.sequence]
  }

  // MARK: Rules

  private func keepYoungAndForeign(_ kept: inout Kept) {
    kept.snapshots.formUnion(basis.foreign)
    for key in basis.snapshots.keys where isYoung(key) { kept.snapshots.insert(key) }
  }

  private func isYoung(_ key: SnapshotKey) -> Bool {
    basis.history.catalogue.young.contains(.snapshot(key.timeline, sequence: key.sequence))
  }

  /// Keeps every instant since `fullSince` that a log covers: all snapshots with a log that reach into that
  /// time, and those that `--at` uses for instants before the first mark in it. A snapshot that was written
  /// since then is kept even if its state is older. For example, a directory was restored to an earlier time,
  /// and nothing has been written to it.
  private func keepWithin(_ kept: inout Kept) {
    let since = fullSince
    var reaching: Set<TimelineNumber> = []
    for (key, snapshot) in basis.snapshots
    where max(window(of: key)?.to ?? snapshot.at, snapshot.at) >= since {
      if snapshot.primary != .rdb { kept.snapshots.insert(key) }
      reaching.insert(key.timeline)
    }
    kept.snapshots.formUnion(answer(at: since))
    // For `--timeline N --at T` an abandoned branch has its own answers.
    for number in reaching {
      let own = candidates[number]?.at(since) ?? []
      kept.snapshots.formUnion(own.map { SnapshotKey(number, $0) })
    }
  }

  /// A dump without a log is one instant, and each is a full copy. A server that saves every minute makes
  /// 10,000 of them in a week. Those of the last day are kept, then the last of each hour, then the last of
  /// each day.
  private func keepDumps(_ kept: inout Kept) {
    struct Slot: Hashable {
      var timeline: TimelineNumber
      var length: Int64
      var number: Int64
    }
    let allSince = max(fullSince, basis.asOf.advanced(byMilliseconds: -RetentionPolicy.day))
    let hourlySince = basis.asOf.advanced(byMilliseconds: -policy.keepHourly)
    var last: [Slot: (at: Instant, key: SnapshotKey)] = [:]
    for (key, snapshot) in basis.snapshots where snapshot.primary == .rdb {
      let at = window(of: key)?.to ?? snapshot.at
      if max(at, snapshot.at) >= allSince {
        kept.snapshots.insert(key)
        continue
      }
      guard at >= min(hourlySince, fullSince) else { continue }
      let length = at >= hourlySince ? RetentionPolicy.hour : RetentionPolicy.day
      let slot = Slot(
        timeline: key.timeline, length: length, number: at.milliseconds / length)
      if let known = last[slot], (known.at, known.key) > (at, key) { continue }
      last[slot] = (at, key)
    }
    kept.snapshots.formUnion(last.values.map(\.key))
  }

  /// For each day before `fullSince`, keeps the snapshots that `--at`, with and without `--timeline`, uses
  /// for the last instant of the day. Also keeps the ends of branches that were abandoned on one of these
  /// days, or that a claim with a wrong time hides.
  private func keepDaily(_ kept: inout Kept) {
    guard policy.keepDaily > 0,
      let earliest =
        (candidates.values.flatMap { $0.windows.values.map(\.from) }
        + basis.history.claims.values.map(\.claimedAt)).min()
    else { return }
    let day = RetentionPolicy.day
    let since = fullSince.milliseconds
    let midnight = since - ((since % day) + day) % day
    var instant = Instant(milliseconds: midnight - 1)
    var days = 0
    let lives = lives()
    while days < policy.keepDaily {
      let before = kept.snapshots.count
      kept.snapshots.formUnion(answer(at: instant))
      for (number, life) in lives where life.from <= instant && instant <= life.to {
        let own = candidates[number]?.at(instant) ?? []
        kept.snapshots.formUnion(own.map { SnapshotKey(number, $0) })
      }
      // The first object of a log may have older marks inside than the one in its name. For example, if a
      // fold covers the first two days of a history, its name has the time of the second day.
      if instant < earliest, kept.snapshots.count == before { break }
      instant = instant.advanced(byMilliseconds: -day)
      days += 1
    }
    for number in basis.history.claims.keys {
      guard let end = newest(of: number), end.instant > instant else { continue }
      let key = end.snapshot.key
      if basis.history.isAbandoned(number) || !answer(at: end.instant).contains(key) {
        kept.snapshots.insert(key)
      }
    }
  }

  /// When the log of each timeline begins and ends. A later claim says which timeline answers `--at` for a
  /// time. It can be wrong about its own time, so each timeline also keeps the days of its own log.
  private func lives() -> [TimelineNumber: (from: Instant, to: Instant)] {
    candidates.compactMapValues { own in
      guard let from = own.windows.values.map(\.from).min(),
        let to = own.windows.values.map(\.to).max()
      else { return nil }
      return (from, to)
    }
  }

  /// Keeps the newest restore point, whatever its age. Also keeps the snapshot that a shipper compares its
  /// disk with when it claims: the last one of the highest timeline that has any.
  ///
  /// For a grace period after a claim, also keeps the snapshots that its holder compared with and may reuse:
  /// the last ones of the timeline below, and of the parent. For example, timeline 7 was claimed in May and
  /// has snapshots. In June this rule keeps only its own last snapshot, and the policy decides about those of
  /// timeline 6.
  private func keepNewest(_ kept: inout Kept, _ byPolicy: Set<SnapshotKey>) {
    let highestFirst = basis.history.claims.keys.sorted(by: >)
    if let number = highestFirst.first(where: { newest(of: $0) != nil }),
      let point = newest(of: number)
    {
      kept.snapshots.insert(point.snapshot.key)
      kept.whole.insert(point.snapshot.key)
      let from = from(point.snapshot)
      if !byPolicy.contains(point.snapshot.key) || from < fullSince {
        kept.held.append(Held(pin: nil, from: from))
      }
    }
    let withSnapshots = highestFirst.filter { byTimeline[$0] != nil }
    var compared = Array(withSnapshots.prefix(1))
    if let claim = basis.history.newestClaim, mayReuse(claim, withSnapshots.first) {
      compared = Array(withSnapshots.prefix(2))
      // The holder of the highest claim compared with the last earlier claim that had a snapshot.
      if let before = withSnapshots.first(where: { $0 < claim.timeline }) {
        compared.append(before)
      }
    }
    for number in compared {
      guard let last = byTimeline[number]?.keys.max() else { continue }
      kept.snapshots.insert(SnapshotKey(number, last))
      kept.whole.insert(SnapshotKey(number, last))
    }
  }

  /// As long as the number of keys in the newest state is unknown, keeps the newest state with a known
  /// number, too: the shrink guard may have had nothing to compare.
  private func keepCounted(_ kept: inout Kept) {
    let points = basis.snapshots.filter { $0.value.primary != nil }
    guard let newest = points.keys.max(), points[newest]?.estimate == nil,
      let counted = points.filter({ ($0.value.estimate?.keys ?? 0) > 0 }).keys.max()
    else { return }
    kept.snapshots.insert(counted)
    kept.whole.insert(counted)
  }

  /// Whether a shipper may still use generations of timelines below the highest one with snapshots. Another
  /// shipper may have compared before that timeline had any.
  private func mayReuse(_ claim: Claim, _ highest: TimelineNumber?) -> Bool {
    if claim.reusesForEver || basis.history.catalogue.young.contains(.claim(claim.timeline)) {
      return true
    }
    return highest.map { number in
      (byTimeline[number] ?? [:]).keys.allSatisfy { isYoung(SnapshotKey(number, $0)) }
    } ?? true
  }

  private func keepPinned(_ kept: inout Kept, _ byPolicy: Set<SnapshotKey>) {
    for pin in basis.pins.sorted(by: { $0.id < $1.id }) where basis.isInForce(pin) {
      let key = SnapshotKey(pin.timeline, pin.snapshot)
      guard let snapshot = basis.snapshots[key] else { continue }
      kept.snapshots.insert(key)
      kept.whole.insert(key)
      if !byPolicy.contains(key) {
        kept.held.append(Held(pin: (pin.id, pin.until), from: from(snapshot)))
      }
    }
  }

  private func from(_ snapshot: Snapshot) -> Instant {
    window(of: snapshot.key)?.from ?? snapshot.at
  }

  private func answer(at instant: Instant) -> Set<SnapshotKey> {
    basis.history.candidates(at: instant, candidates)
  }

  private func newest(of number: TimelineNumber) -> RestorePoint? {
    PointFinder(
      history: basis.history, timeline: number, snapshots: byTimeline[number] ?? [:]
    ).newest()
  }
}

extension Claim {
  /// Release 0.1.0 uses generations of earlier timelines, and continues unfinished ones, for as long as it
  /// runs.
  var reusesForEver: Bool { place == nil }
}

extension RetentionBasis {
  /// A pin that was released or expired at least a grace period ago keeps nothing.
  package func isInForce(_ pin: Pin) -> Bool {
    if pin.until <= asOf { return false }
    return !released.contains(pin.id)
      || history.catalogue.young.contains(.operation(.releases, id: pin.id))
  }
}
