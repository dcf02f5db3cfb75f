package import BackupFormat
import BackupTypes
import RedisFormats

/// Decides whether a dataset that is suddenly empty, much smaller or older than what came before may
/// be an accident. It never stops a backup: it flags, warns and pins the state before.
package enum ShrinkGuard {
  /// At most so many pins of the guard are kept; the oldest is let go first.
  package static let pinsMax = 10
  /// Older than the last state by more than this is suspect.
  package static let toleratedLoss: Int64 = 60_000
  /// Below a tenth is much smaller.
  private static let fraction: UInt64 = 10

  /// The last state that the guard accepts as normal.
  package struct Known: Sendable, Equatable {
    package var keys: UInt64
    package var elements: UInt64
    package var bytes: UInt64
    package init(keys: UInt64, elements: UInt64, bytes: UInt64) {
      self.keys = keys
      self.elements = elements
      self.bytes = bytes
    }
    package init(dataset: DatasetRecord, bytes: UInt64) {
      self.init(keys: dataset.keys, elements: dataset.elements, bytes: bytes)
    }
  }

  /// Why `found` is suspiciously less than `known`; nil when it is not. Keys alone say little: Ray has
  /// seven. `added` counts the commands that a log adds to `found`: a small BASE behind which much was
  /// written is not a small dataset.
  package static func judge(
    known: Known?, found: Known, added: UInt64 = 0, addedBytes: UInt64 = 0
  ) -> (reason: Claim.Suspicion.Reason, detail: String)? {
    guard let known, known.keys > 0 else { return nil }
    if found.keys == 0, added == 0 {
      return (.empty, "no keys, where there were \(known.keys)")
    }
    let elements = found.elements &+ added
    if elements < known.elements / fraction {
      return (.smaller, "\(elements) elements, where there were \(known.elements)")
    }
    let bytes = found.bytes &+ addedBytes
    if bytes < known.bytes / fraction {
      return (.smaller, "\(humanBytes(bytes)), where there were \(humanBytes(known.bytes))")
    }
    return nil
  }
}

extension ShrinkGuard {
  /// The same for a start whose repository has all its data in a log, behind a BASE without keys or
  /// none: then logs are compared. A disk with a full copy that has keys was rewritten, and its log says
  /// nothing.
  package static func judgeLogs(known: UInt64, found: Known, foundBytes: UInt64)
    -> (reason: Claim.Suspicion.Reason, detail: String)?
  {
    guard found.keys == 0, foundBytes < known / fraction else { return nil }
    return (.smaller, "\(humanBytes(foundBytes)) of log, where there were \(humanBytes(known))")
  }
}

extension ShrinkGuard {
  /// The same for a dump that takes the place of an AOF whose full copy had no keys: the server was started
  /// without AOF beside `log` bytes of it, and loaded none of them.
  package static func judgeDump(behind log: UInt64, found: Known)
    -> (reason: Claim.Suspicion.Reason, detail: String)?
  {
    guard log > 0 else { return nil }
    if found.keys == 0 { return (.empty, "no keys, where there were \(humanBytes(log)) of log") }
    guard found.bytes < log / fraction else { return nil }
    return (
      .smaller, "a dump of \(humanBytes(found.bytes)), where there were \(humanBytes(log)) of log"
    )
  }
}

extension ShipPlan {
  /// A generation is durable: is it suspiciously smaller than the last one, with nothing in the log
  /// that says why?
  mutating func compareWithGuarded(_ index: GenerationIndex) {
    guard let dataset = index.dataset else { return }
    let found = ShrinkGuard.Known(dataset: dataset, bytes: index.size)
    defer { guarded = found }
    // Without a restore point before it there is nothing that it could hide.
    var verdict = ShrinkGuard.judge(known: guarded, found: found)
    if verdict == nil, guarded?.keys == 0, index.kind == .dump, liveness == .quiet {
      verdict = ShrinkGuard.judgeDump(
        behind: chain?.files.reduce(0) { $0 &+ $1.size } ?? 0, found: found)
    }
    guard let verdict, let last = lastSnapshot, last.primary != nil else { return }
    warnings.append(
      "\(index.file) may be an accident: \(verdict.detail). It was shipped; the state before it is "
        + "pinned until `lifeboat unpin`")
    addPin(
      reason: "\(index.file) became \(verdict.reason.rawValue): \(verdict.detail)",
      at: max(index.contentAt, view.at), snapshot: last.sequence, position: nil, isSuspicious: true)
  }

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
    guarded = nil  // the log explains whatever the next generation lacks
  }

  mutating func pinBeforeDrop(_ snapshot: Snapshot) {
    guard let destructive = snapshot.destructive, snapshot.primary != nil else { return }
    warnings.append(
      "\(destructive.command) at \(destructive.at) removed data; the state before it is pinned until "
        + "`lifeboat unpin`, or \(humanDuration(milliseconds: options.pinFor))")
    addPin(
      reason: destructive.command, at: destructive.at, snapshot: snapshot.sequence,
      position: destructive.before, isSuspicious: false)
  }

  private mutating func addPin(
    reason: String, at: Instant, snapshot: Int, position: LogPosition?, isSuspicious: Bool
  ) {
    let id =
      "p\(decimal(max(0, at.milliseconds), width: 13))-\(claim.timeline)-\(snapshot)-\(pins.count)"
    let pin = Pin(
      id: id, repository: claim.repository, origin: .drop, reason: reason, at: at,
      until: at.advanced(byMilliseconds: options.pinFor), timeline: claim.timeline,
      snapshot: snapshot, position: position)
    operationsDue.append(.pin(pin))
    for oldest in pins.add(pin, isSuspicious: isSuspicious) {
      warnings.append(
        "the oldest pin, \(oldest), is let go: at most \(ShrinkGuard.pinsMax) are kept")
      operationsDue.append(
        .release(
          Release(pin: oldest, repository: claim.repository, at: at, by: "lifeboat ship")))
    }
  }
}
