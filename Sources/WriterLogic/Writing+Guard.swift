import BackupFormat
import BackupTypes
import RedisFormats

/// The shrink guard while Lifeboat runs: what it compares, when, and with what consequence.
///
/// A chain that does not provably follow the last one stays detached until it is judged. If it is suspect,
/// the old chain is drained and recorded as it was, and the timeline ends. The next claim records the
/// question. So the state before stays the newest one of this timeline, and every reader, even one of an
/// older release, finds the question.
extension Writing {
  /// Minimum time between two snapshots that only record that there are fewer keys, in milliseconds.
  static let estimateInterval: Int64 = 600_000
  /// A change by this factor is worth a snapshot, unless the dataset is tiny.
  private static let estimateFactor: UInt64 = 4
  private static let estimateMin: UInt64 = 16

  /// Why the state may be the result of an accident. This timeline ends with the state before it.
  package var suspicion: ShrinkGuard.Suspicion? { shrink.suspicion }

  /// Everything before the suspect state is durable and recorded, so the timeline can end.
  package var isReadyToAsk: Bool {
    guard suspicion != nil, records.isIdle, pins.isEmpty, chains.draining.isEmpty,
      said.last?.body == snapshotBody()
    else { return false }
    return !chains.isReadable || !(chains.followed?.isReadableAndPending ?? false)
  }

  // MARK: What there is

  /// How many keys a server would load from a snapshot with this `body`; nil: it has no restore point.
  func keyBounds(of body: Snapshot) -> KeyBounds? {
    switch body.primary {
    case nil: return nil
    case .rdb:
      guard let durable = dump.durable else { return .unknown }
      return durable.dataset.map { KeyBounds($0) }
        ?? durable.file.map { .uncounted(bytes: $0.size) } ?? .unknown
    case .aof:
      if chains.isReadable, !isDrainingReadable, let chain = chains.followed {
        return shrink.loaded(by: chain).keys
      }
      return chains.readableDraining.map { shrink.loaded(by: $0.chain).keys }
        ?? chains.closed?.keys ?? .unknown
    }
  }

  /// Whether the number of keys deserves its own snapshot. After a crash, a start compares with the last
  /// one.
  func isEstimateDue(_ estimate: Snapshot.Estimate?, now: Instant) -> Bool {
    guard let estimate, let last = said.last, last.primary == .aof else { return false }
    let said = last.estimate?.keys ?? 0
    if estimate.keys / Writing.estimateFactor >= max(said, Writing.estimateMin) { return true }
    return estimate.keys < said / Writing.estimateFactor
      && now.since(last.at) >= Writing.estimateInterval
  }

  // MARK: Judging

  /// Judges a chain that does not follow an earlier state, once all of it and everything before it have been
  /// read.
  mutating func judgeChain() {
    guard let chain = chains.followed, chain.origin == .unjudged, suspicion == nil,
      chains.draining.isEmpty || isClosing, chain.anchor != nil,
      chain.files.allSatisfy(\.isScanned)
    else { return }
    let isWatched = snapshotBody().primary == .aof
    if let verdict = verdict(on: shrink.loaded(by: chain), isWatched: isWatched) {
      ask(chain.awaitedBase ?? chain.files.first?.name ?? "the AOF", verdict)
    } else {
      fail(chains.judge())
    }
  }

  /// Whether a durable dump is suspect. Beside a live AOF a dump is not a separate state, and a dump from
  /// before the claim was judged then.
  mutating func isSuspect(_ dump: GenerationIndex, _ file: PinnedFile) -> Bool {
    if shrink.isJudged(file) || (chains.isReadable && !liveness.isQuiet) { return false }
    guard let verdict = verdict(on: .init(keys: KeyBounds(dump)), isWatched: false) else {
      return false
    }
    ask(dump.file, verdict)
    return true
  }

  private func verdict(on found: ShrinkGuard.Loaded, isWatched: Bool) -> ShrinkGuard.Suspicion? {
    shrink.suspicion(
      found, known: keyBounds(of: snapshotBody()), isWatched: isWatched, pins.inForce)
  }

  private mutating func ask(_ file: String, _ verdict: ShrinkGuard.Suspicion) {
    shrink.ask(verdict)
    warnings.append(
      "\(file) may be an accident: \(verdict.detail). It is shipped as a new timeline; the state before "
        + "it is pinned, and `restore` will ask which state to use")
  }

  /// Notes the destructive commands that are durable now: a snapshot gives the position of each, and the
  /// state before it is pinned.
  mutating func noteDrops(of shipment: LogShipment) {
    var passed: [FollowedFile.Drop] = []
    chains.withFile(shipment.pin) { passed = $0.takeDurableDrops() }
    // One for each object is enough: a later command within the same second finds the database already empty.
    guard let drop = passed.first(where: \.hadContent) else { return }
    pins.note(
      Snapshot.Destructive(
        command: drop.command,
        before: LogPosition(
          timeline: claim.timeline, ordinal: shipment.ordinal, offset: drop.start),
        at: drop.seenAt))
  }
}
