package import BackupFormat
package import BackupTypes

/// History that a claim leaves out although it is older than the claim.
///
/// A claim's `end` says what its writer found in a listing. Anything that the old writer adds later does not
/// exist. The listing is at most minutes older than the claim. So older snapshots and log must have been in
/// the listing, and the claim wrongly leaves them out. Otherwise somebody who may only create objects could
/// hide the history of others with a forged claim. The timeline then ends where that history ends.
package struct CutOff: Sendable {
  /// By the store's clock. A claim is written sooner than this after its listing.
  package static let slack: Int64 = 15 * 60_000

  private let catalogue: Catalogue
  private let claims: [TimelineNumber: Claim]
  private var ends: [TimelineNumber: (end: Claim.End, by: TimelineNumber)] = [:]

  package init(_ catalogue: Catalogue, _ claims: [TimelineNumber: Claim]) {
    self.catalogue = catalogue
    self.claims = claims
    for claim in claims.values.sorted(by: { $0.timeline > $1.timeline }) {
      guard let parent = claim.parent, let end = claim.end else { continue }
      ends[parent] = (end, claim.timeline)
    }
  }

  /// Timelines that have something after their end, with the claims that say where that is.
  package var doubtful: [TimelineNumber: TimelineNumber] {
    var found: [TimelineNumber: TimelineNumber] = [:]
    for (number, (end, claim)) in ends {
      guard claims[number] != nil, let listed = catalogue.timelines[number] else { continue }
      let hasMore =
        listed.snapshots.contains { $0 > end.snapshots }
        || listed.log.contains { ordinal, spans in
          let last = CutOff.offset(end, ordinal)
          return spans.contains { $0.to > last }
        }
      if hasMore { found[number] = claim }
    }
    return found
  }

  /// Where a timeline ends, if the next claim leaves out some of its history.
  /// - Parameter old: the objects that are older than the claim by more than `slack`.
  package func end(of number: TimelineNumber, old: Set<ObjectPath>) throws(LifeboatError)
    -> Claim.End?
  {
    guard let claim = claims[number], let (end, _) = ends[number],
      let listed = catalogue.timelines[number]
    else { return nil }
    var kept = Catalogue()
    kept.add(name: ObjectPath.claim(number).text, size: 0)
    func add(_ path: ObjectPath, isInside: Bool) {
      if isInside || old.contains(path) { kept.add(name: path.text, size: 0) }
    }
    for sequence in listed.snapshots {
      add(.snapshot(number, sequence: sequence), isInside: sequence <= end.snapshots)
    }
    for (ordinal, spans) in listed.log {
      let last = CutOff.offset(end, ordinal)
      for span in spans {
        add(.log(number, ordinal: ordinal, span), isInside: span.to <= last)
      }
    }
    let alone = Claim(
      timeline: number, nonce: claim.nonce, repository: claim.repository, source: claim.source,
      instance: claim.instance, directory: claim.directory, claimedAt: claim.claimedAt,
      writer: claim.writer, parent: nil, fork: nil, end: nil, suspicion: nil)
    let found = try History(catalogue: kept, claims: [number: alone])
      .contiguousEnd(of: number, starts: [:])
    let ordinals = Set(found.ordinals.map(\.ordinal)).union(end.ordinals.map(\.ordinal)).sorted()
    let whole = Claim.End(
      snapshots: max(found.snapshots, end.snapshots),
      ordinals: ordinals.map {
        .init(ordinal: $0, offset: max(CutOff.offset(found, $0), CutOff.offset(end, $0)))
      })
    let isMore =
      whole.snapshots > end.snapshots
      || whole.ordinals.contains { $0.offset > CutOff.offset(end, $0.ordinal) }
    return isMore ? whole : nil
  }

  private static func offset(_ end: Claim.End, _ ordinal: Int) -> UInt64 {
    end.ordinals.first { $0.ordinal == ordinal }?.offset ?? 0
  }
}
