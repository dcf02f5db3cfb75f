import BackupFormat
import BackupTypes
import RedisFormats

/// The shrink guard while Lifeboat runs: what it compares, when, and what follows.
///
/// A chain that does not provably follow the last one stays detached until it is judged. If it is suspect,
/// the old chain is drained and recorded as it was, and the timeline ends. The next claim asks the
/// question. The state before therefore stays the newest of this timeline, and every reader, also of an
/// older release, finds the question.
extension ShipPlan {
  /// The guard's state.
  struct Guarded: Sendable {
    /// The followed chain follows nothing that came before it, and was not judged yet.
    var isUnjudged = false
    /// Why the state may be the result of an accident. Nothing more is done with it in this timeline.
    var suspicion: ShrinkGuard.Suspicion?
    /// How many keys the BASEs of the chains hold.
    var bases: [GenerationID: KeyBounds] = [:]
    /// How many keys `closed` holds.
    var closed: KeyBounds?
    /// The pin of the open question. No second question is asked meanwhile.
    var question: String?
    /// The dump that existed before the claim.
    var judgedDump: FileVersion?
    /// There was a restore point before this timeline.
    var hadPoint = false
  }

  /// Minimum time between two snapshots that only record that there are fewer keys, in milliseconds.
  static let estimateInterval: Int64 = 600_000
  /// A change by this factor is worth a snapshot, unless the dataset is tiny.
  private static let estimateFactor: UInt64 = 4
  private static let estimateMin: UInt64 = 16

  var isChainReadable: Bool { chain?.anchor != nil && !guarded.isUnjudged }

  /// Why the state may be the result of an accident. This timeline ends with the state before it.
  package var suspicion: ShrinkGuard.Suspicion? { guarded.suspicion }

  /// Everything before the suspect state is durable and recorded, so the timeline can end.
  package var isReadyToAsk: Bool {
    guard suspicion != nil, records.isIdle, operationsDue.isEmpty, destructiveDue.isEmpty,
      draining.isEmpty, lastBody == snapshotBody()
    else { return false }
    return !isChainReadable || !(chain?.isReadableAndPending ?? false)
  }

  // MARK: What there is

  func keyBounds(of chain: FollowedChain) -> KeyBounds { loaded(by: chain).keys }

  private func loaded(by chain: FollowedChain) -> ShrinkGuard.Loaded {
    var base = KeyBounds.unknown
    if chain.prefix.isEmpty {
      switch chain.anchor?.kind {
      case .base(let record): base = guarded.bases[record.generation] ?? .unknown
      case .nothing: base = .none
      case nil: break
      }
    }
    let files = chain.files.dropFirst(chain.anchor?.first ?? 0)
    return .init(base: base, keys: files.reduce(base) { $1.keyBounds(over: $0) })
  }

  /// How many keys a server would load from a snapshot with this `body`; nil: it has no restore point.
  func keyBounds(of body: Snapshot) -> KeyBounds? {
    switch body.primary {
    case nil: return nil
    case .rdb: return dump?.dataset.map { KeyBounds($0) } ?? .unknown
    case .aof:
      if isChainReadable, !isDrainingReadable, let chain { return keyBounds(of: chain) }
      return readableDraining.map { keyBounds(of: $0.chain) } ?? guarded.closed ?? .unknown
    }
  }

  /// Records the keys of a BASE that was uploaded, or that was there already.
  mutating func noteBase(_ result: GenerationResult) {
    let index = result.index
    var used: Set<GenerationID> = [index.generation]
    for chain in draining.map(\.chain) + (chain.map { [$0] } ?? []) {
      if case .base(let base) = chain.anchor?.kind { used.insert(base.generation) }
      if let base = chain.candidate?.durable { used.insert(base.generation) }
    }
    guarded.bases = guarded.bases.filter { used.contains($0.key) }
    guarded.bases[index.generation] = result.keys ?? KeyBounds(index)
  }

  /// Whether the number of keys deserves its own snapshot. After a crash, a start compares with the last
  /// one.
  func isEstimateDue(_ estimate: Snapshot.Estimate?, now: Instant) -> Bool {
    guard let estimate, let last = lastSnapshot, last.primary == .aof else { return false }
    let said = last.estimate?.keys ?? 0
    if estimate.keys / ShipPlan.estimateFactor >= max(said, ShipPlan.estimateMin) { return true }
    return estimate.keys < said / ShipPlan.estimateFactor
      && now.since(last.at) >= ShipPlan.estimateInterval
  }

  // MARK: Judging

  /// Judges a chain that follows nothing, once it is completely known, and so is everything before it.
  mutating func judgeChain() {
    guard guarded.isUnjudged, suspicion == nil, draining.isEmpty || isClosing, let chain,
      chain.anchor != nil, chain.files.allSatisfy(\.isScanned)
    else { return }
    if let verdict = verdict(on: loaded(by: chain), isWatched: snapshotBody().primary == .aof) {
      ask(chain.awaitedBase ?? chain.files.first?.name ?? "the AOF", verdict)
    } else {
      guarded.isUnjudged = false
      closed = nil
    }
  }

  /// Whether a durable dump is suspect. Beside a live AOF a dump is not a separate state, and a dump from
  /// before the claim was judged then.
  mutating func isSuspect(_ dump: GenerationIndex, _ file: PinnedFile) -> Bool {
    if file.version == guarded.judgedDump || (isChainReadable && !liveness.isQuiet) {
      return false
    }
    guard let verdict = verdict(on: .init(keys: KeyBounds(dump)), isWatched: false) else {
      return false
    }
    ask(dump.file, verdict)
    return true
  }

  private func verdict(on found: ShrinkGuard.Loaded, isWatched: Bool) -> ShrinkGuard.Suspicion? {
    if let question = guarded.question, pins.contains(question) { return nil }
    guard let known = keyBounds(of: snapshotBody()) else { return nil }
    return ShrinkGuard.suspicion(known: known, found: found, isWatched: isWatched)
  }

  private mutating func ask(_ file: String, _ verdict: ShrinkGuard.Suspicion) {
    guarded.suspicion = verdict
    warnings.append(
      "\(file) may be an accident: \(verdict.detail). It is shipped as a new timeline; the state before "
        + "it is pinned, and `restore` will ask which state to use")
  }

  // MARK: Destructive commands

  /// Records the destructive commands that are durable now: a snapshot gives the position of each, and the
  /// state before it is pinned.
  mutating func noteDrops(of shipment: LogShipment) {
    var passed: [FollowedFile.Drop] = []
    withFile(shipment.pin) { passed = $0.takeDurableDrops() }
    // One for each object: a later one within the same second empties what is already empty.
    guard let drop = passed.first(where: \.hadContent) else { return }
    destructiveDue.append(
      Snapshot.Destructive(
        command: drop.command,
        before: LogPosition(
          timeline: claim.timeline, ordinal: shipment.ordinal, offset: drop.start),
        at: drop.seenAt))
  }

  mutating func pinBeforeDrop(_ snapshot: Snapshot) {
    guard let destructive = snapshot.destructive, snapshot.primary != nil else { return }
    warnings.append(
      "\(destructive.command) at \(destructive.at) removed data; the state before it is pinned until "
        + "`lifeboat unpin`, or \(humanDuration(milliseconds: options.pinFor))")
    addPin(
      reason: destructive.command, at: destructive.at, snapshot: snapshot.sequence,
      position: destructive.before)
  }

  private mutating func addPin(
    reason: String, at: Instant, snapshot: Int, position: LogPosition
  ) {
    let id =
      "p\(decimal(max(0, at.milliseconds), width: 13))-\(claim.timeline)-\(snapshot)-\(pins.count)"
    let pin = Pin(
      id: id, repository: claim.repository, origin: .drop, reason: reason, at: at,
      until: at.advanced(byMilliseconds: options.pinFor), timeline: claim.timeline,
      snapshot: snapshot, position: position)
    operationsDue.append(.pin(pin))
    for oldest in pins.add(pin) {
      warnings.append(
        "released the oldest pin, \(oldest): at most \(ShrinkGuard.pinsMax) pins are kept")
      operationsDue.append(
        .release(
          Release(pin: oldest, repository: claim.repository, at: at, by: "lifeboat ship")))
    }
  }
}
