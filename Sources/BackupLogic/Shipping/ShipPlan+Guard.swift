import BackupFormat
import BackupTypes
import RedisFormats

/// The shrink guard while Lifeboat watches: what it compares, when, and what follows from it.
///
/// A chain that nothing proves to follow the last one stays detached until it is judged. If it is suspect,
/// the old chain is drained and said as it was, and the timeline ends: the next claim asks. So the state
/// before stays the newest of this timeline, and every reader, also an old one, finds the question.
extension ShipPlan {
  /// What of the guard's is remembered.
  struct Guarded: Sendable {
    /// The followed chain follows nothing that came before it, and was not judged yet.
    var isUnjudged = false
    /// What may be an accident; nothing more is made of it in this timeline.
    var suspicion: ShrinkGuard.Suspicion?
    /// What the BASEs hold that chains stand on.
    var bases: [GenerationID: KeyBounds] = [:]
    /// What `closed` holds.
    var closed: KeyBounds?
    /// The pin of the question that is open: no second is asked meanwhile.
    var question: String?
    /// The dump that was there before the claim.
    var judgedDump: FileVersion?
    /// There was a restore point before this timeline.
    var hadPoint = false
  }

  /// Between two snapshots that only tell that there are fewer keys.
  static let estimateInterval: Int64 = 600_000
  /// A change by this factor is worth a snapshot, of datasets that are not tiny.
  private static let estimateFactor: UInt64 = 4
  private static let estimateMin: UInt64 = 16

  var isChainReadable: Bool { chain?.anchor != nil && !guarded.isUnjudged }

  /// What may be an accident: this timeline ends with the state before it.
  package var suspicion: ShrinkGuard.Suspicion? { guarded.suspicion }

  /// Everything that came before what is suspect is durable and said: the timeline can end.
  package var isReadyToAsk: Bool {
    guard suspicion != nil, recordInFlight == nil, operationsDue.isEmpty, destructiveDue.isEmpty,
      draining.isEmpty, lastBody == snapshotBody()
    else { return false }
    return !isChainReadable || !(chain?.isReadableAndPending ?? false)
  }

  // MARK: What there is

  func keyBounds(of chain: FollowedChain) -> KeyBounds {
    var bounds = KeyBounds.unknown
    if chain.prefix.isEmpty {
      switch chain.anchor?.kind {
      case .base(let base): bounds = guarded.bases[base.generation] ?? .unknown
      case .nothing: bounds = .none
      case nil: break
      }
    }
    for file in chain.files.dropFirst(chain.anchor?.first ?? 0) {
      bounds = file.keyBounds(over: bounds)
    }
    return bounds
  }

  /// What a server would load from a snapshot that says `body`; nil: it has no restore point.
  func keyBounds(of body: Snapshot) -> KeyBounds? {
    switch body.primary {
    case nil: return nil
    case .rdb: return dump?.dataset.map { KeyBounds($0) } ?? .unknown
    case .aof:
      if isChainReadable, !isDrainingReadable, let chain { return keyBounds(of: chain) }
      return readableDraining.map { keyBounds(of: $0.chain) } ?? guarded.closed ?? .unknown
    }
  }

  /// What was shipped of a BASE, or of one that is there already.
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

  /// Whether the number of keys is worth a snapshot of its own: after a crash the last one is what a start is
  /// compared with.
  func isEstimateDue(_ estimate: Snapshot.Estimate?, now: Instant) -> Bool {
    guard let estimate, let last = lastSnapshot, last.primary == .aof else { return false }
    let said = last.estimate?.keys ?? 0
    if estimate.keys / ShipPlan.estimateFactor >= max(said, ShipPlan.estimateMin) { return true }
    return estimate.keys < said / ShipPlan.estimateFactor
      && now.since(last.at) >= ShipPlan.estimateInterval
  }

  // MARK: Judging

  /// Judges a chain that follows nothing, once all of it is known, and all of what came before it.
  mutating func judgeChain() {
    guard guarded.isUnjudged, suspicion == nil, draining.isEmpty || isClosing, let chain,
      chain.anchor != nil, chain.files.allSatisfy(\.isScanned)
    else { return }
    // What expired was logged up to the end of a log that was watched.
    let found = keyBounds(of: chain)
    if let verdict = verdict(on: found, isExpiryKnown: snapshotBody().primary == .aof) {
      ask(chain.awaitedBase ?? chain.files.first?.name ?? "the AOF", verdict)
    } else {
      guarded.isUnjudged = false
      closed = nil
    }
  }

  /// Whether a dump that is durable is suspect. Beside a live AOF it is no state of its own, and the one that
  /// was there before the claim was judged then.
  mutating func isSuspect(_ dump: GenerationIndex, _ file: PinnedFile) -> Bool {
    if file.version == guarded.judgedDump || (isChainReadable && liveness != .quiet) {
      return false
    }
    guard let verdict = verdict(on: KeyBounds(dump), isExpiryKnown: false) else { return false }
    ask(dump.file, verdict)
    return true
  }

  private func verdict(on found: KeyBounds, isExpiryKnown: Bool) -> ShrinkGuard.Suspicion? {
    if let question = guarded.question, pins.contains(question) { return nil }
    guard let known = keyBounds(of: snapshotBody()) else { return nil }
    return ShrinkGuard.suspicion(known: known, found: found, isExpiryKnown: isExpiryKnown)
  }

  private mutating func ask(_ file: String, _ verdict: ShrinkGuard.Suspicion) {
    guarded.suspicion = verdict
    warnings.append(
      "\(file) may be an accident: \(verdict.detail). It is shipped as a new timeline; the state before "
        + "it is pinned, and a restore will ask which")
  }

  // MARK: Destructive commands

  /// Notes the destructive commands that are durable now: a snapshot says where each stands, and the
  /// state before it is pinned.
  mutating func noteDrops(of shipment: LogShipment) {
    var passed: [FollowedFile.Drop] = []
    withFile(shipment.pin) { passed = $0.takeDurableDrops() }
    // One for each object: what follows within the same second empties what is already empty.
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
        "the oldest pin, \(oldest), is let go: at most \(ShrinkGuard.pinsMax) are kept")
      operationsDue.append(
        .release(
          Release(pin: oldest, repository: claim.repository, at: at, by: "lifeboat ship")))
    }
  }
}
