package import BackupFormat
package import BackupTypes

/// The content of a complete listing of a repository. The listing is the catalogue: object names alone say
/// which bytes of which log exist, and until when.
package struct Catalogue: Sendable {
  package struct Timeline: Sendable {
    package var hasClaim = false
    package var snapshots: Set<Int> = []
    /// By ordinal, in no particular order.
    package var log: [Int: [LogSpan]] = [:]
    /// Those among them that the store has had for less than a grace period (`young`).
    package var youngLog: [Int: [LogSpan]] = [:]
    /// When the first and the last log object of each ordinal was written: by the store's clock if the
    /// listing has it, otherwise by the mark in the name.
    package var logTimes: [Int: ClosedRange<Instant>] = [:]

    fileprivate mutating func add(_ span: LogSpan, _ ordinal: Int, at time: Instant?, isYoung: Bool)
    {
      log[ordinal, default: []].append(span)
      if isYoung { youngLog[ordinal, default: []].append(span) }
      guard let time else { return }
      let known = logTimes[ordinal] ?? time...time
      logTimes[ordinal] = min(known.lowerBound, time)...max(known.upperBound, time)
    }
  }
  package struct Generation: Sendable {
    package var hasIndex = false
    /// By piece number. Hostile or interrupted writers can leave several with one number.
    package var pieces: [Int: [ShortDigest]] = [:]
    /// Whether one of them has no bytes, because it was emptied, or because its upload left only a name.
    package var hasEmptiedPiece = false
    /// When the last of its objects was written, by the store's clock; nil if that is unknown.
    package var written: Instant?
  }

  package private(set) var hasDescriptor = false
  package private(set) var keySlots: [String] = []
  package private(set) var timelines: [TimelineNumber: Timeline] = [:]
  package private(set) var generations: [GenerationID: Generation] = [:]
  package private(set) var operations: [OperationKind: Set<String>] = [:]
  /// Generations that were found damaged. For restores and shippers they do not exist.
  package private(set) var quarantined: Set<GenerationID> = []
  /// Listed operations and log objects that do not count, and why.
  package private(set) var unusable: [ObjectPath: String] = [:]
  /// Intact log objects whose bytes contradict those of another one, and that one. One of them is forged.
  package private(set) var contradicting: [ObjectPath: ObjectPath] = [:]
  /// Objects that the store has had for less than a grace period, if the caller requested them. None of these
  /// is deleted. Log objects are in `Timeline.youngLog`, since there are many.
  package private(set) var young: Set<ObjectPath> = []
  private var youngAfter: Instant?
  /// When objects were written: indexes and, if the caller requested them, log objects.
  package private(set) var times = ObjectTimes()
  private var keepsLogTimes = false
  package private(set) var objects = 0
  package private(set) var bytes: UInt64 = 0
  /// Names that format 1 does not know. They are counted, and never used.
  package private(set) var foreign = 0
  package private(set) var foreignExample: String?

  /// - Parameters:
  ///   - youngAfter: objects that were written later are remembered as young.
  ///   - keepsLogTimes: whether the times of log objects are remembered.
  package init(youngAfter: Instant? = nil, keepsLogTimes: Bool = false) {
    self.youngAfter = youngAfter
    self.keepsLogTimes = keepsLogTimes
  }

  package init(names: some Sequence<(name: String, size: Int)>) {
    for (name, size) in names { add(name: name, size: size) }
  }

  /// - Parameter modified: the time by the store's clock.
  package mutating func add(name: String, size: Int, modified: Instant? = nil) {
    guard let parsed = ObjectPath(name) else {
      foreign += 1
      foreignExample = foreignExample ?? printable(name)
      return
    }
    let isYoung =
      youngAfter.map { youngAfter in modified.map { $0 > youngAfter } ?? false } ?? false
    // Left by a probe of the store, and not a part of the repository.
    if case .operation(.probes, _) = parsed { return }
    objects += 1
    bytes &+= UInt64(max(0, size))
    if case .log(let number, let ordinal, let span) = parsed {
      timelines[number, default: Timeline()].add(
        span, ordinal, at: modified ?? span.mark, isYoung: isYoung)
      if keepsLogTimes, let modified { times.add(parsed, size, modified) }
      return
    }
    if isYoung { young.insert(parsed) }
    if let modified { times.add(parsed, size, modified) }
    switch parsed {
    case .descriptor: hasDescriptor = true
    case .key(let id): keySlots.append(id)
    case .piece(let id, let number, let digest):
      generations[id, default: Generation()].pieces[number, default: []].append(digest)
      if size == 0 { generations[id]?.hasEmptiedPiece = true }
      noteWritten(id, modified)
    case .index(let id):
      generations[id, default: Generation()].hasIndex = true
      noteWritten(id, modified)
    case .claim(let number): timelines[number, default: Timeline()].hasClaim = true
    case .snapshot(let number, let sequence):
      timelines[number, default: Timeline()].snapshots.insert(sequence)
    case .log: break
    case .operation(let kind, let id):
      operations[kind, default: []].insert(id)
      if kind == .quarantines, let generation = GenerationID(id) { quarantined.insert(generation) }
    }
  }

  private mutating func noteWritten(_ id: GenerationID, _ modified: Instant?) {
    guard let modified else { return }
    let before = generations[id]?.written ?? modified
    generations[id]?.written = max(before, modified)
  }

  /// A copy without some operations and log objects, which do not count.
  /// - Parameter names: the names with the reasons. The reason is nil if the object is gone.
  package func disregarding(_ names: [ObjectPath: String?]) -> Catalogue {
    var copy = self
    for (name, reason) in names {
      switch name {
      case .operation(let kind, let id):
        copy.operations[kind]?.remove(id)
        if kind == .quarantines, let generation = GenerationID(id) {
          copy.quarantined.remove(generation)
        }
      case .log(let number, let ordinal, let span):
        copy.timelines[number]?.log[ordinal]?.removeAll { $0 == span }
      default: continue
      }
      copy.unusable[name] = reason
    }
    return copy
  }

  package mutating func noteContradiction(_ path: ObjectPath, _ other: ObjectPath) {
    contradicting[path] = other
  }

  /// How many timeline numbers in a row may be missing. Claims are never deleted, and each writer takes the
  /// next number, so a gap in real timelines means that some were lost.
  private static let gapMax = 1000

  /// Timelines with numbers far above all others, which no writer made. For example, a forged timeline with
  /// the highest possible number would leave no number for the next writer.
  package var farAhead: Set<TimelineNumber> {
    let numbers = timelines.keys.sorted()
    let pairs = zip(numbers, numbers.dropFirst())
    guard let gap = pairs.first(where: { $1.value - $0.value > Catalogue.gapMax }) else {
      return []
    }
    return Set(numbers.filter { $0 >= gap.1 })
  }

  /// A copy without them, in which they are listed as unusable.
  package func withoutFarAhead() -> Catalogue {
    let far = farAhead
    guard !far.isEmpty else { return self }
    var copy = without(far)
    for number in far {
      copy.unusable[.claim(number)] = "its number is far above those of all other timelines"
    }
    return copy
  }

  /// A copy without some timelines whose claims can't be read.
  package func without(_ numbers: Set<TimelineNumber>) -> Catalogue {
    var copy = self
    for number in numbers { copy.timelines[number] = nil }
    return copy
  }

  /// A copy without some snapshots, indexes and log objects, which are damaged.
  package func without(_ names: Set<ObjectPath>) -> Catalogue {
    var copy = self
    for name in names {
      switch name {
      case .snapshot(let number, let sequence): copy.timelines[number]?.snapshots.remove(sequence)
      case .index(let id):
        copy.generations[id]?.hasIndex = false
        // Nothing more is added to it.
        copy.quarantined.insert(id)
      case .log(let number, let ordinal, let span):
        copy.timelines[number]?.log[ordinal]?.removeAll { $0 == span }
      case .descriptor, .key, .piece, .claim, .operation: break
      }
    }
    return copy
  }

  /// The highest claimed timeline. Claims are never deleted, so the next number is always one more.
  package var highestClaim: TimelineNumber? {
    timelines.filter { $0.value.hasClaim }.keys.max()
  }
  /// Whether every piece of a generation was listed. When retention deletes a generation, it deletes the
  /// pieces first.
  package func isWhole(_ index: GenerationIndex) -> Bool {
    if generations[index.generation]?.hasEmptiedPiece == true { return false }
    let listed = generations[index.generation]?.pieces ?? [:]
    return index.pieces.enumerated().allSatisfy { number, digest in
      listed[number]?.contains(digest.short) ?? false
    }
  }

  /// The generations that have an index.
  package var complete: Set<GenerationID> {
    Set(generations.filter { $0.value.hasIndex }.keys)
  }
  package var isEmpty: Bool { objects == 0 }
  /// Timelines with objects whose claim is gone. If a timeline above the highest claim has only log, another
  /// writer left it, and it is not part of the history.
  package var unclaimed: [TimelineNumber] {
    let highest = highestClaim
    return timelines.filter { number, timeline in
      !timeline.hasClaim
        && (!timeline.snapshots.isEmpty || highest.map { number < $0 } ?? false)
    }.map(\.key)
  }
  /// Whether a timeline has listed snapshots but no listed claim: the claim was lost, or was created while
  /// the pages were read.
  package var hasUnclaimedSnapshots: Bool {
    timelines.values.contains { !$0.hasClaim && !$0.snapshots.isEmpty }
  }
}
