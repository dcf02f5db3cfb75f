package import BackupFormat
package import BackupTypes
package import HistoryLogic
package import RedisFormats

/// The result of a decision: its value, or the facts that it needs first.
package enum Step<Value> {
  case done(Value)
  case needs([Need])
}

extension Step: Sendable where Value: Sendable {}

/// A fact that a comparison of disk and repository needs. Facts about a file are about its first bytes, up to
/// the size that a look measured.
package enum Need: Hashable, Sendable {
  // Of the repository.
  /// The last snapshot of a timeline by its own writer: `snapshot`.
  case lastSnapshot(TimelineNumber)
  /// A snapshot by its number: `snapshot`, nil if it can't be read.
  case snapshot(TimelineNumber, Int)
  /// The newest restore point: `point`.
  case newestPoint
  /// The time of the first restore point: `instant`.
  case firstPoint
  /// The existing indexes of the generations that a snapshot names: `indexes`. Lost ones are left out.
  case indexes(of: SnapshotKey)
  /// The pins in force: `pins`.
  case pins

  // Of the directory.
  /// What the last restore left there: `receipt`.
  case receipt
  /// Whether a server that started on it now would have no data: `answer`.
  case isEmpty

  // Of a file.
  /// Of a full copy: `fingerprint`.
  case fingerprint(PinID, size: UInt64)
  /// The keys that a full copy holds, and its time: `copy`.
  case copy(PinID, size: UInt64, GenerationIndex.Kind)
  /// How far the file agrees with whole log objects, by the digests in their names: `offset`, the end of the
  /// last object before the first that differs.
  case agreement(PinID, size: UInt64, LogRange)
  /// How far the file agrees with the bytes of one log object: `offset`, the object's start if the object is
  /// missing.
  case shared(PinID, size: UInt64, LogRange, LogSpan)
  /// The last position where a loader may stop, when it reads [from, to): `offset`, at least `from`.
  case boundary(PinID, from: UInt64, to: UInt64)
  /// Whether [from, to) holds a complete command: `answer`.
  case command(PinID, from: UInt64, to: UInt64)
  /// Whether more than SELECT, with which every log begins, comes before an offset: `answer`.
  case content(PinID, to: UInt64)
  /// What the commands before an offset do to keys: `keys`.
  case keys(PinID, to: UInt64)
}

/// A part of one log in the repository.
package struct LogRange: Hashable, Sendable {
  package var timeline: TimelineNumber
  package var ordinal: Int
  package var from: UInt64
  package var limit: UInt64?

  init(_ segment: Snapshot.Segment) {
    timeline = segment.timeline
    ordinal = segment.ordinal
    from = segment.from
    limit = segment.to
  }
}

package enum Fact: Sendable {
  case snapshot(Snapshot?)
  case point(RestorePoint?)
  case instant(Instant?)
  case indexes([GenerationID: GenerationIndex])
  case pins([Pin])
  case receipt(Receipt?)
  case answer(Bool)
  case fingerprint(ShortDigest)
  case copy(keys: KeyBounds, contentAt: Instant?)
  case offset(UInt64)
  /// `isWhole`: it could be read as commands to its end.
  case keys(KeySample?, isWhole: Bool)
}

/// What a restore leaves in the data directory, as far as a comparison needs it.
package struct Receipt: Sendable, Equatable {
  package struct Point: Sendable, Equatable {
    package var timeline: TimelineNumber
    package var sequence: Int
    package var cut: LogPosition?
    package init(timeline: TimelineNumber, sequence: Int, cut: LogPosition?) {
      self.timeline = timeline
      self.sequence = sequence
      self.cut = cut
    }
  }
  package var repository: Nonce
  package var point: Point?
  /// The restore named its point (by a time or an id), so an older state was wanted.
  package var isDeliberate: Bool
  /// The newest timeline at the time of the restore, and where it ended.
  package var newest: TimelineNumber
  package var end: Claim.End

  package init(
    repository: Nonce, point: Point?, isDeliberate: Bool, newest: TimelineNumber, end: Claim.End
  ) {
    self.repository = repository
    self.point = point
    self.isDeliberate = isDeliberate
    self.newest = newest
    self.end = end
  }
}

/// The facts that are known so far. Each is fetched once.
package struct Evidence: Sendable {
  /// Thrown by a decision when it needs a fact that is not known yet.
  struct Missing: Error { var need: Need }

  private var facts: [Need: Fact] = [:]

  package init() {}

  package mutating func add(_ fact: Fact, for need: Need) {
    let old = facts.updateValue(fact, forKey: need)
    precondition(old == nil, "\(need) was fetched twice")
  }

  private func fact(_ need: Need) throws(Missing) -> Fact {
    guard let fact = facts[need] else { throw Missing(need: need) }
    return fact
  }

  func snapshot(_ need: Need) throws(Missing) -> Snapshot? {
    guard case .snapshot(let snapshot) = try fact(need) else { wrong(need) }
    return snapshot
  }
  func newestPoint() throws(Missing) -> RestorePoint? {
    guard case .point(let point) = try fact(.newestPoint) else { wrong(.newestPoint) }
    return point
  }
  func firstPoint() throws(Missing) -> Instant? {
    guard case .instant(let instant) = try fact(.firstPoint) else { wrong(.firstPoint) }
    return instant
  }
  func indexes(of snapshot: Snapshot) throws(Missing) -> [GenerationID: GenerationIndex] {
    let need = Need.indexes(of: snapshot.key)
    guard case .indexes(let indexes) = try fact(need) else { wrong(need) }
    return indexes
  }
  func pins() throws(Missing) -> [Pin] {
    guard case .pins(let pins) = try fact(.pins) else { wrong(.pins) }
    return pins
  }
  func receipt() throws(Missing) -> Receipt? {
    guard case .receipt(let receipt) = try fact(.receipt) else { wrong(.receipt) }
    return receipt
  }
  func answer(_ need: Need) throws(Missing) -> Bool {
    guard case .answer(let answer) = try fact(need) else { wrong(need) }
    return answer
  }
  func offset(_ need: Need) throws(Missing) -> UInt64 {
    guard case .offset(let offset) = try fact(need) else { wrong(need) }
    return offset
  }
  func isGeneration(_ id: GenerationID, _ file: PinnedFile) throws(Missing) -> Bool {
    let need = Need.fingerprint(file.pin, size: file.size)
    guard case .fingerprint(let found) = try fact(need) else { wrong(need) }
    return found == id.fingerprint
  }
  func copy(_ file: PinnedFile, _ kind: GenerationIndex.Kind) throws(Missing)
    -> (keys: KeyBounds, contentAt: Instant?)
  {
    let need = Need.copy(file.pin, size: file.size, kind)
    guard case .copy(let keys, let contentAt) = try fact(need) else { wrong(need) }
    return (keys, contentAt)
  }
  func keys(_ pin: PinID, to end: UInt64) throws(Missing) -> (sample: KeySample?, isWhole: Bool) {
    let need = Need.keys(pin, to: end)
    guard case .keys(let sample, let isWhole) = try fact(need) else { wrong(need) }
    return (sample, isWhole)
  }

  private func wrong(_ need: Need) -> Never {
    preconditionFailure("a fact of another kind: \(need)")
  }
}
