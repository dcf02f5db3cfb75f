package import BackupFormat
package import BackupTypes
package import HistoryLogic
import RedisFormats

/// What a reading of the log of one chain found, including the RDB that the log may begin with.
package struct ChainReading {
  package private(set) var search: LogSearch
  /// At the cut.
  package private(set) var ray: RayTables
  /// The content of an RDB at the beginning of the log, as Redis 6 and older write it.
  package private(set) var copy: (dataset: DatasetRecord, at: Instant?, census: CopyCensus)?
  /// Where the restored part ends. Nil if Ray's tables are not followed.
  private let cut: LogPosition?
  private var isBehindCut: Bool

  package init(_ search: LogSearch, ray: RayTables = RayTables(), cut: LogPosition?) {
    self.search = search
    self.ray = ray
    self.cut = cut
    isBehindCut = cut == nil
  }

  /// Returns itself after the end of the log.
  package func run(_ walk: LogWalk) async throws -> ChainReading {
    var reading = self
    var walk = walk
    walk.observer = CopyCensus()
    try await walk.run(preamble: { reading.load($0) }) { step in
      reading.take(step)
      return true
    }
    reading.search.finish()
    return reading
  }

  private mutating func load(_ walker: RDBWalker) {
    let census = walker.observer as? CopyCensus ?? CopyCensus()
    guard let dataset = DatasetRecord(walker.summary) else { return }
    search.load(dataset, census.entries)
    ray = census.ray
    let seconds = walker.summary.createdAtSeconds
    copy = (dataset, seconds.map { Instant(seconds: $0) }, census)
  }

  private mutating func take(_ step: LogWalk.Step) {
    if step.isFirst {
      search.beginFile()
      ray.beginFile()
    }
    search.take(step.event, at: step.place, seenAt: step.seenAt)
    if let cut, step.place.timeline == cut.timeline, step.place.ordinal == cut.ordinal,
      step.place.offset >= cut.offset
    {
      isBehindCut = true
    }
    if !isBehindCut, case .command(let command) = step.event { ray.apply(command) }
  }
}
