package import BackupFormat
package import BackupTypes

/// What decides which objects a copy of a repository lacks.
package struct CopyFacts: Sendable {
  /// The source, as a reader sees it.
  package var history: History
  package var mentions: CopyMentions
  /// What the retention of the source deleted.
  package var letGo: LetGo
  /// Pins of the source that are in force, also those that can't be read.
  package var pins: Set<String> = []
  /// A complete listing of the copy.
  package var copy: Catalogue
  /// What the retention of the copy deleted. It is not copied again.
  package var copyLetGo: LetGo
  /// Both are sealed with the same keys, or neither is: an object has the same name in both.
  package var sharesKeys: Bool
  /// Snapshots of other processes, which do not exist for a reader and are not copied.
  package var foreign: Set<SnapshotKey> = []
  /// Objects of the source that can't be copied. Of a generation: its index.
  package var damaged: Set<ObjectPath> = []
  /// The first claim that has to wait, see `CutOff`.
  package var held: TimelineNumber?

  package init(
    history: History, mentions: CopyMentions, letGo: LetGo, copy: Catalogue, copyLetGo: LetGo,
    sharesKeys: Bool
  ) {
    self.history = history
    self.mentions = mentions
    self.letGo = letGo
    self.copy = copy
    self.copyLetGo = copyLetGo
    self.sharesKeys = sharesKeys
  }
}

/// The order in which a copy is completed. After each object a restore of the copy gives a state that the source
/// had: what a record refers to is in the copy before the record, and log that a reader of the copy sees grows
/// from its end.
///
/// A pure function of `CopyFacts`: a plan that was interrupted is made again from new listings.
package struct CopyPlan: Sendable, Equatable {
  package enum Step: Sendable, Equatable {
    /// In any order, several at a time.
    case objects([ObjectPath])
    /// One after the other. Each continues the previous one.
    case inOrder([ObjectPath])
    /// The missing pieces in any order, then the index.
    case generation(GenerationID)
    /// A claim or a snapshot.
    case record(ObjectPath)
    /// What the source's retention deleted before it was copied. The record keeps it from counting as a loss.
    case prune(gone: [Prune.Gone], dumps: [GenerationID])
    /// Without the descriptor, the copy is not a repository: a restore fails, but never says that there is no
    /// backup.
    case descriptor
  }

  package private(set) var steps: [Step] = []
  /// Generations that snapshots need, but that neither the source nor the copy has.
  package private(set) var missing: [GenerationID] = []

  private let facts: CopyFacts
  private var hasDescriptor: Bool

  package static func == (a: CopyPlan, b: CopyPlan) -> Bool {
    a.steps == b.steps && a.missing == b.missing
  }

  package init(_ facts: CopyFacts) {
    self.facts = facts
    hasDescriptor = facts.copy.hasDescriptor
    addOperations()
    addPrune()
    let mentions = Dictionary(grouping: facts.mentions.mentions, by: \.key.timeline)
    for number in facts.history.claims.keys.sorted() {
      if let held = facts.held, number >= held { break }
      add(number, mentions[number] ?? [])
    }
    addDescriptor()
  }

  package var isEmpty: Bool { steps.isEmpty }

  /// The most objects that the plan creates. A generation counts its pieces.
  package var objects: Int {
    steps.reduce(0) { sum, step in
      switch step {
      case .objects(let names), .inOrder(let names): sum + names.count
      case .generation(let id): sum + lackingPieces(id) + 1
      case .record, .prune, .descriptor: sum + 1
      }
    }
  }

  // MARK: Operations

  /// Pins come before the claims that name them. Without its pin, nobody is asked about a suspect start. A
  /// release is only copied if its pin is in the copy.
  private mutating func addOperations() {
    let source = facts.history.catalogue.operations
    let copy = facts.copy.operations
    func lacks(_ kind: OperationKind, _ ids: Set<String>) -> [ObjectPath] {
      ids.subtracting(copy[kind] ?? []).sorted().map { .operation(kind, id: $0) }
    }
    let requests = facts.sharesKeys ? lacks(.requests, source[.requests] ?? []) : []
    let pins = lacks(.pins, facts.pins.subtracting(copy[.releases] ?? []))
    let releases = lacks(.releases, (source[.releases] ?? []).intersection(copy[.pins] ?? []))
    add(.objects(without(requests + pins + releases)))
  }

  /// Records the numbers that the source deleted, if neither the copy nor its own records have them.
  private mutating func addPrune() {
    var gone: [Prune.Gone] = []
    for number in facts.history.claims.keys.sorted() {
      let listed = facts.copy.timelines[number]?.snapshots ?? []
      let coming = Set(facts.history.snapshots(of: number)).filter {
        !facts.copyLetGo.has(number, $0) && !facts.foreign.contains(SnapshotKey(number, $0))
      }
      let all = listed.union(coming).sorted()
      guard let last = all.last else { continue }
      var known = facts.letGo
      known.add(facts.foreign.filter { $0.timeline == number })
      let gaps = facts.copyLetGo.gaps(in: all, upTo: last, of: number)
      for range in known.ranges(of: number, within: gaps) {
        gone.append(.init(timeline: number, from: range.lowerBound, to: range.upperBound))
      }
    }
    let named = facts.mentions.mentions.flatMap { $0.beside + $0.generations }
    let dumps = facts.letGo.dumps.intersection(named).subtracting(facts.copyLetGo.dumps)
      .filter { facts.copy.generations[$0]?.hasIndex != true }
    guard !gone.isEmpty || !dumps.isEmpty else { return }
    steps.append(.prune(gone: gone, dumps: dumps.sorted { $0.description < $1.description }))
  }

  private mutating func addDescriptor() {
    guard !hasDescriptor else { return }
    steps.append(.descriptor)
    hasDescriptor = true
  }

  private mutating func add(_ step: Step) {
    switch step {
    case .objects(let names), .inOrder(let names):
      if !names.isEmpty { steps.append(step) }
    default: steps.append(step)
    }
  }

  private func without(_ names: [ObjectPath]) -> [ObjectPath] {
    names.filter { !facts.damaged.contains($0) }
  }

  // MARK: A timeline

  private mutating func add(_ number: TimelineNumber, _ mentions: [CopyMentions.Mention]) {
    let copied = facts.copy.timelines[number]
    if copied?.hasClaim != true { steps.append(.record(.claim(number))) }
    let ordinals = (facts.history.catalogue.timelines[number]?.log.keys).map { $0.sorted() } ?? []
    let wanted = ordinals.map { Prune.Log(timeline: number, ordinal: $0) }
      .filter { facts.mentions.logs.contains($0) }
    add(.inOrder(wanted.filter(isVisible).flatMap { lacking($0) }))
    for mention in mentions {
      for id in mention.generations { add(id, isBeside: false) }
      for id in mention.beside where !facts.mentions.generations.contains(id) {
        add(id, isBeside: true)
      }
      guard copied?.snapshots.contains(mention.key.sequence) != true else { continue }
      var (before, after): ([ObjectPath], [ObjectPath]) = ([], [])
      for need in mention.logs where !isVisible(need.log) {
        for name in lacking(need.log) {
          if case .log(_, _, let span) = name, span.from < need.end {
            before.append(name)
          } else {
            after.append(name)
          }
        }
      }
      add(.objects(before))
      if mention.isPoint { addDescriptor() }
      steps.append(.record(.snapshot(number, sequence: mention.key.sequence)))
      add(.inOrder(after))
    }
  }

  /// Whether readers of the copy see what is added to a log. Part of a log can be in the copy without a
  /// snapshot that names the log. A snapshot that only the copy has may have named it.
  private func isVisible(_ log: Prune.Log) -> Bool {
    facts.mentions.visibleLogs.contains(log)
      || facts.copy.timelines[log.timeline]?.log[log.ordinal] != nil
  }

  // MARK: Logs

  /// The objects of a log that are missing in the copy. They are chosen as a reader would read the log.
  ///
  /// An object that a fold replaced in the copy is not copied again, even if the source still has it.
  private func lacking(_ log: Prune.Log) -> [ObjectPath] {
    let end = facts.history.end(of: log.timeline).map { end in
      end.ordinals.first { $0.ordinal == log.ordinal }?.offset ?? 0
    }
    let listed = (facts.history.catalogue.timelines[log.timeline]?.log[log.ordinal] ?? [])
      .filter { span in end.map { span.to <= $0 } ?? true }
      .sorted { ($0.from, $1.to) < ($1.from, $0.to) }
    var copied: [LogSpan: Int] = [:]
    for span in facts.copy.timelines[log.timeline]?.log[log.ordinal] ?? [] {
      copied[place(span), default: 0] += 1
    }
    var counts: [LogSpan: Int] = [:]
    for span in listed { counts[place(span), default: 0] += 1 }
    var lacking: [ObjectPath] = []
    // The copied object that reaches furthest, among those that begin at or before this one.
    var cover: LogSpan?
    for span in listed {
      let place = place(span)
      let isCopied = (copied[place] ?? 0) >= (counts[place] ?? 0)
      if let cover, cover.to >= span.to, cover.count > span.count { continue }
      if isCopied {
        if span.mark != nil, span.to > cover?.to ?? 0 { cover = span }
        continue
      }
      let name = ObjectPath.log(log.timeline, ordinal: log.ordinal, span)
      if !facts.damaged.contains(name) { lacking.append(name) }
    }
    return lacking
  }

  /// The part of an object's name that is the same in both repositories if the bytes are. Digests depend on
  /// the key.
  private func place(_ span: LogSpan) -> LogSpan {
    guard !facts.sharesKeys else { return span }
    var place = span
    place.digest = CopyPlan.anyDigest
    return place
  }

  private static let anyDigest = ShortDigest(
    bytes: [UInt8](repeating: 0, count: ShortDigest.byteCount))!

  // MARK: Generations

  private mutating func add(_ id: GenerationID, isBeside: Bool) {
    let source = facts.history.catalogue
    if isWhole(id) { return }
    if source.quarantined.contains(id) {
      // A quarantined generation does not exist for a reader. The copy has to say so, too.
      let name = ObjectPath.operation(.quarantines, id: id.description)
      if !facts.copy.quarantined.contains(id), !facts.damaged.contains(name) {
        add(.objects([name]))
      }
      return
    }
    if isBeside, facts.copyLetGo.dumps.contains(id) { return }
    guard source.generations[id]?.hasIndex == true else {
      if !facts.letGo.dumps.contains(id) { missing.append(id) }
      return
    }
    guard !facts.damaged.contains(.index(id)) else { return }
    steps.append(.generation(id))
  }

  private func isWhole(_ id: GenerationID) -> Bool {
    guard let copied = facts.copy.generations[id], copied.hasIndex, !copied.hasEmptiedPiece else {
      return false
    }
    return lackingPieces(id) == 0
  }

  private func lackingPieces(_ id: GenerationID) -> Int {
    let listed = facts.history.catalogue.generations[id]?.pieces ?? [:]
    let copied = facts.copy.generations[id]?.pieces ?? [:]
    return listed.keys.count { copied[$0] == nil }
  }
}

extension LetGo {
  /// The parts of ascending ranges that are recorded as deleted.
  func ranges(of timeline: TimelineNumber, within ranges: [ClosedRange<Int>]) -> [ClosedRange<Int>]
  {
    let known = gone.filter { $0.timeline == timeline }
    return ranges.flatMap { range in
      known.compactMap { gone in
        let (from, to) = (max(range.lowerBound, gone.from), min(range.upperBound, gone.to))
        return from <= to ? from...to : nil
      }
    }
  }
}
