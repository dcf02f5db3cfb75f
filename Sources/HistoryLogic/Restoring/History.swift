package import BackupFormat
package import BackupTypes

/// A repository as readers see it: the catalogue, limited by what each claim says about its predecessor.
/// Anything added to a timeline after its successor's `end` does not exist.
package struct History: Sendable {
  package let catalogue: Catalogue
  package let claims: [TimelineNumber: Claim]
  /// In order. Nothing of their timelines is in `catalogue`.
  package let unreadable: [UnreadableClaim]
  /// By its number, the claim that continues each timeline, and so says where it ends.
  private let successors: [TimelineNumber: Claim]
  /// Timelines of which a claim leaves out some history, and where they end nevertheless.
  package let cutOff: [TimelineNumber: Claim.End]
  private let newestFirst: [Claim]
  private let index: HistoryIndex

  /// Checks that every timeline up to the highest claim has a claim, and that they are consistent.
  /// - Parameters:
  ///   - unreadable: claims of which only the number counts.
  ///   - cutOff: where timelines end, in place of what their successors say (`CutOff`).
  package init(
    catalogue whole: Catalogue, claims: [TimelineNumber: Claim],
    unreadable: [UnreadableClaim] = [], cutOff: [TimelineNumber: Claim.End] = [:]
  ) throws(LifeboatError) {
    let catalogue =
      unreadable.isEmpty ? whole : whole.without(Set(unreadable.map(\.timeline)))
    self.catalogue = catalogue
    self.unreadable = unreadable.sorted { $0.timeline < $1.timeline }
    self.claims = claims
    newestFirst = claims.values.sorted { $0.timeline > $1.timeline }
    var successors: [TimelineNumber: Claim] = [:]
    for claim in newestFirst { if let parent = claim.parent { successors[parent] = claim } }
    self.successors = successors
    self.cutOff = cutOff
    index = HistoryIndex(
      catalogue, ends: successors.compactMapValues(\.end).merging(cutOff) { $1 })
    for number in catalogue.timelines.keys.sorted() {
      guard let claim = claims[number] else {
        // A snapshot is written only under a durable claim. If there is one, the claim was lost.
        if catalogue.timelines[number]?.hasClaim == false,
          catalogue.timelines[number]?.snapshots.isEmpty ?? true,
          catalogue.highestClaim.map({ number > $0 }) ?? true
        {
          continue  // objects without a claim above the highest: another's leftovers, not a history
        }
        throw LifeboatError(
          .corrupt, "timeline \(number) has no claim",
          cause: "an object of the repository is missing",
          hint:
            "recover timelines/\(decimal(number.value, width: 8))/claim from a copy of the bucket")
      }
      guard claim.timeline == number, (claim.parent?.value ?? 0) < number.value,
        claim.parent == nil || claim.end != nil
      else {
        throw LifeboatError(.corrupt, "the claim of timeline \(number) is inconsistent")
      }
    }
  }

  /// The timeline that a time belongs to: the newest one whose claim is not after it. If there is none, the
  /// first one.
  package func timeline(at instant: Instant) -> TimelineNumber? {
    (newestFirst.first { $0.claimedAt <= instant } ?? newestFirst.last)?.timeline
  }

  /// Whether a successor abandoned some of this timeline's history. The timeline then ends in a branch that
  /// can be restored only by naming the timeline.
  package func isAbandoned(_ timeline: TimelineNumber) -> Bool {
    if cutOff[timeline] != nil { return true }
    guard let successor = successors[timeline], let end = successor.end,
      let last = end.ordinals.last, let fork = successor.fork
    else { return false }
    return fork < LogPosition(timeline: timeline, ordinal: last.ordinal, offset: last.offset)
  }

  package var newestClaim: Claim? { newestFirst.first }

  /// The nonces of the claims whose uploads the next one may continue, newest first: that of the newest claim,
  /// and those of up to three claims before it that left pieces without an index.
  package var unfinishedWriters: [Nonce] {
    let left = Set(catalogue.generations.filter { !$0.value.hasIndex }.keys.map(\.nonce))
    let nonces = newestFirst.map(\.nonce)
    return Array(nonces.prefix(1) + nonces.dropFirst().filter { left.contains($0) }.prefix(3))
  }

  /// The highest number that is taken. The next claim gets a higher one: the writer of an unreadable claim
  /// may still be running, and ends when it finds a higher claim.
  package var highestNumber: TimelineNumber? {
    [newestClaim?.timeline, unreadable.last?.timeline].compactMap { $0 }.max()
  }
  /// The unreadable claim that is above every readable one.
  package var unreadableAbove: UnreadableClaim? {
    unreadable.last { claim in newestClaim.map { $0.timeline < claim.timeline } ?? true }
  }

  /// The same history as if some objects did not exist.
  package func without(_ damaged: Set<ObjectPath>) throws(LifeboatError) -> History {
    damaged.isEmpty
      ? self
      : try History(
        catalogue: catalogue.without(damaged), claims: claims, unreadable: unreadable,
        cutOff: cutOff)
  }

  /// Whether the full copy at the beginning of a snapshot's restore point counts as absent.
  package func isQuarantined(_ snapshot: Snapshot) -> Bool {
    let needed =
      snapshot.primary == .rdb ? snapshot.dump?.generation : snapshot.chain?.base?.generation
    return needed.map { catalogue.quarantined.contains($0) } ?? false
  }

  /// Where `timeline` ends for every reader; nil for the newest, which may still grow.
  package func end(of timeline: TimelineNumber) -> Claim.End? {
    cutOff[timeline] ?? successors[timeline]?.end
  }
  /// The first claim that has `timeline` as its parent.
  package func successor(of timeline: TimelineNumber) -> Claim? { successors[timeline] }

  /// Up to where the log of a span of `snapshot` is known to have been durable: to its end or, for an open
  /// span, to the position that the snapshot gives or the successor found.
  package func durableEnd(of segment: Snapshot.Segment, in snapshot: Snapshot) -> UInt64 {
    if let to = segment.to { return to }
    let found = end(of: segment.timeline)?.ordinals.first { $0.ordinal == segment.ordinal }?.offset
    return max(found ?? 0, snapshot.reached ?? 0)
  }

  /// The sequences of the snapshots that exist in `timeline`, ascending.
  package func snapshots(of timeline: TimelineNumber) -> [Int] {
    let all = catalogue.timelines[timeline]?.snapshots.sorted() ?? []
    guard let end = end(of: timeline) else { return all }
    return all.filter { $0 <= end.snapshots }
  }

  /// The log of one ordinal from `offset` on, up to the first hole.
  package func log(
    of timeline: TimelineNumber, ordinal: Int, from offset: UInt64, limit: UInt64? = nil
  ) -> LogSlice {
    index.slice(of: timeline, ordinal: ordinal, from: offset, upTo: limit)
  }

  /// The log of a snapshot's chain.
  package func chain(of snapshot: Snapshot) -> ChainLog {
    chain(of: snapshot.chain?.files.flatMap(\.segments) ?? [])
  }
  func chain(of segments: [Snapshot.Segment]) -> ChainLog { ChainLog(segments, in: self) }

  /// The `end` of `timeline` that a claimant of the next timeline writes.
  package func contiguousEnd(of timeline: TimelineNumber, starts: [Int: UInt64]) -> Claim.End {
    let ordinals = (catalogue.timelines[timeline]?.log.keys.sorted() ?? []).map { ordinal in
      Claim.End.OrdinalEnd(
        ordinal: ordinal,
        offset: log(
          of: timeline, ordinal: ordinal, from: starts[ordinal] ?? lowest(timeline, ordinal)
        )
        .reached)
    }
    return Claim.End(snapshots: snapshots(of: timeline).last ?? 0, ordinals: ordinals)
  }

  private func lowest(_ timeline: TimelineNumber, _ ordinal: Int) -> UInt64 {
    catalogue.timelines[timeline]?.log[ordinal]?.map(\.from).min() ?? 0
  }

  /// The suspicion that applies to `timeline`, with its pin: its own, or that of an ancestor, since a restart
  /// of the shipper is not an answer. It ends when the pin ends, or with a claim that forks off at or after
  /// the pinned position and so continues the state before.
  package func openSuspicion(of timeline: TimelineNumber, pins: [Pin]) -> (
    suspicion: Claim.Suspicion, pin: Pin
  )? {
    var forks: [LogPosition] = []
    var number: TimelineNumber? = timeline
    while let current = number, let claim = claims[current] {
      if let suspicion = claim.suspicion, let pin = pins.first(where: { $0.id == suspicion.pin }),
        !forks.contains(where: { fork in
          fork.timeline < current && pin.position.map { fork >= $0 } ?? false
        })
      {
        return (suspicion, pin)
      }
      if let fork = claim.fork { forks.append(fork) }
      number = claim.parent
    }
    return nil
  }
}
