package import BackupFormat
package import BackupTypes

/// The references of a repository's snapshots, gathered one by one. Thousands of snapshots name mostly the
/// same objects, and each reference is kept only once.
package struct SnapshotReferences: Sendable {
  /// The snapshots that need something: the first few, and their total number.
  package struct Uses: Sendable, Equatable {
    private static let idsMax = 8
    package private(set) var ids: [String] = []
    package private(set) var count = 0

    package init() {}

    mutating func add(_ id: String) {
      count += 1
      if ids.count < Uses.idsMax, !ids.contains(id) { ids.append(id) }
    }
    mutating func add(_ other: Uses) {
      for id in other.ids where ids.count < Uses.idsMax && !ids.contains(id) { ids.append(id) }
      count += other.count
    }
    /// For people. More are counted than are kept.
    package var points: [String] {
      ids + (count > ids.count ? ["and \(count - ids.count) more"] : [])
    }
  }

  /// A span of one ordinal's log that belongs to a file.
  package struct Span: Sendable, Hashable {
    package var timeline: TimelineNumber
    package var ordinal: Int
    package var from: UInt64
    package var to: UInt64?
  }

  /// How many different spans are kept, some 200 bytes each. Snapshots of one log mostly name the same ones.
  package static let spansMax = 65_536

  package private(set) var generations: [GenerationID: Uses] = [:]
  /// Generations that a snapshot needs for more than a dump beside its chain.
  private var needed: Set<GenerationID> = []
  package private(set) var spans: [Span: Uses] = [:]
  /// The minimum extent to which spans without an end were durable.
  package private(set) var reached: [Span: UInt64] = [:]
  /// For a span that does not begin its file: the position where its log continues, which is the end of the
  /// span before it, in another log.
  package private(set) var joins: [LogPosition: LogPosition] = [:]
  private var starts: [Ordinal: UInt64] = [:]

  private struct Ordinal: Hashable {
    var timeline: TimelineNumber
    var ordinal: Int
  }

  package init() {}

  /// Adds a snapshot's references. Returns the errors in their form.
  package mutating func add(_ snapshot: Snapshot) -> [String] {
    let id = "\(snapshot.timeline).\(snapshot.sequence)"
    var problems: [String] = []
    for generation in Set(
      [snapshot.chain?.base?.generation, snapshot.dump?.generation].compactMap { $0 })
    {
      generations[generation, default: Uses()].add(id)
    }
    if let base = snapshot.chain?.base { needed.insert(base.generation) }
    if let dump = snapshot.dump, snapshot.primary != .aof { needed.insert(dump.generation) }
    let chain = snapshot.chain?.files ?? []
    for (position, file) in chain.enumerated() {
      problems += add(file, id, mayGrow: position == chain.count - 1)
    }
    for file in snapshot.detached?.files ?? [] { problems += add(file, id, mayGrow: true) }
    if let open = snapshot.chain?.openSegment, let offset = snapshot.reached {
      let span = Span(timeline: open.timeline, ordinal: open.ordinal, from: open.from, to: nil)
      reached[span] = max(offset, reached[span] ?? offset)
    }
    switch snapshot.primary {
    case .rdb where snapshot.dump == nil:
      problems.append("its primary is a dump, but it names none")
    case .aof where snapshot.chain == nil:
      problems.append("its primary is an AOF, but it names none")
    default: break
    }
    return problems
  }

  private mutating func add(_ file: Snapshot.LogFile, _ id: String, mayGrow: Bool) -> [String] {
    var problems: [String] = []
    var reached: UInt64? = 0
    var before: LogPosition?
    for (index, segment) in file.segments.enumerated() {
      if segment.from != reached {
        problems.append("the log of \(printable(file.file)) is not contiguous")
      }
      if segment.to == nil, !mayGrow || index < file.segments.count - 1 {
        problems.append(
          "the log of \(printable(file.file)) has no end, but another file follows it")
      }
      let span = Span(
        timeline: segment.timeline, ordinal: segment.ordinal, from: segment.from, to: segment.to)
      guard spans.count < SnapshotReferences.spansMax || spans[span] != nil else {
        problems.append(
          "the snapshots name more than \(SnapshotReferences.spansMax) different spans of log: the rest is "
            + "not verified")
        break
      }
      spans[span, default: Uses()].add(id)
      let ordinal = Ordinal(timeline: segment.timeline, ordinal: segment.ordinal)
      starts[ordinal] = min(starts[ordinal] ?? segment.from, segment.from)
      let place = segment.position(segment.from)
      if let before, before != place { joins[place] = before }
      before = segment.to.map { segment.position($0) }
      reached = segment.to
    }
    return problems
  }

  /// Whether the generation is necessary to restore a snapshot.
  package func isNeeded(_ generation: GenerationID) -> Bool { needed.contains(generation) }

  /// Where the log of an ordinal begins; nil if no snapshot names it.
  package func start(of timeline: TimelineNumber, ordinal: Int) -> UInt64? {
    starts[Ordinal(timeline: timeline, ordinal: ordinal)]
  }

  /// The snapshots that need log of an ordinal from `offset` on.
  package func uses(of timeline: TimelineNumber, ordinal: Int, behind offset: UInt64) -> Uses {
    var uses = Uses()
    for (span, found) in spans.sorted(by: { $0.value.ids.first ?? "" < $1.value.ids.first ?? "" })
    where span.timeline == timeline && span.ordinal == ordinal
      && (span.to.map { $0 > offset } ?? true)
    {
      uses.add(found)
    }
    return uses
  }

  /// The offsets of an ordinal at which another timeline's log continues.
  package func stops(of timeline: TimelineNumber, ordinal: Int) -> [UInt64] {
    Set(joins.values.filter { $0.timeline == timeline && $0.ordinal == ordinal }.map(\.offset))
      .sorted()
  }
}
