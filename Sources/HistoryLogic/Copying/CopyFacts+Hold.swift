package import BackupFormat
package import BackupTypes

/// When a claim may be copied that cuts off older history of its parent.
///
/// For a reader, what a claim cuts off still exists if the store has had it for longer than the claim (`CutOff`).
/// The store of the copy received everything later, so it has to have that history long enough before it gets the
/// claim.
extension CopyFacts {
  /// What the copy has of one timeline.
  package struct Listed: Sendable {
    package var objects: Set<ObjectPath> = []
    /// When the newest of them was created, by the store's clock.
    package var youngest: Instant?
    package init() {}

    package mutating func add(_ path: ObjectPath, created: Instant) {
      objects.insert(path)
      youngest = max(youngest ?? created, created)
    }
  }

  /// The timelines for which `hold` needs a listing: a claim that is not in the copy yet cuts them off.
  package var cutOff: [TimelineNumber] {
    history.cutOff.keys.sorted().filter { number in
      guard let next = history.successor(of: number) else { return false }
      return copy.timelines[next.timeline]?.hasClaim != true
    }
  }

  /// A minute more than the rule: a store's times have whole seconds, and a listing takes a while.
  private static let wait = CutOff.slack + 60_000

  /// Sets the first claim that has to wait.
  ///
  /// - Parameters:
  ///   - listed: for each of `cutOff`.
  ///   - now: by the clock of the copy's store.
  /// - Returns: the time after which all claims may be copied; nil if none has to wait.
  package mutating func hold(_ listed: [TimelineNumber: Listed], now: Instant) -> Instant? {
    var heldUntil: Instant?
    for number in cutOff {
      guard let next = history.successor(of: number)?.timeline else { continue }
      let found = listed[number] ?? Listed()
      let isWhole = history.snapshots(of: number).allSatisfy {
        found.objects.contains(.snapshot(number, sequence: $0)) || copyLetGo.has(number, $0)
      }
      // What is still to come is created now at the earliest.
      let last = isWhole ? found.youngest ?? now : now
      let until = last.advanced(byMilliseconds: CopyFacts.wait)
      guard !isWhole || until > now else { continue }
      held = min(held ?? next, next)
      heldUntil = max(heldUntil ?? until, until)
    }
    return heldUntil
  }
}
