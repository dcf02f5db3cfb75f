import BackupFormat
import BackupTypes
import HistoryLogic
import Testing

/// Compares restore points with a model that knows every byte. Each point that is offered exists, and the
/// newest one is really the newest.
@Suite struct PointFinderTests {
  /// What the model knows about one snapshot: the places where it can be cut, in order.
  private struct Model {
    var cuts: [(position: LogPosition, time: Instant)] = []
    /// The time of each mark, including those that folds removed from the listing.
    var marks: [Instant] = []
    /// An object reaches beyond the end of a segment. Its own end is not a mark of that segment.
    var isCrossed = false
  }

  @Test func `every offered point is provably there, and none that is newer is missed`()
    async throws
  {
    let (first, count) = seeds(default: 500)
    var (points, planned) = (0, 0)
    for seed in first..<first + count {
      await Task.yield()  // tests that wait need a thread
      var world = HistoryWorld(seed: seed)
      world.readNames()
      let history = try world.history
      #expect(history.catalogue.foreign == world.foreign.count, "seed \(seed)")
      for (number, snapshots) in world.snapshots {
        let visible = history.snapshots(of: number)
        #expect(visible == existing(number, world), "seed \(seed), timeline \(number)")
        let finder = PointFinder(
          history: history, timeline: number,
          snapshots: snapshots.filter { visible.contains($0.key) })
        for snapshot in finder.snapshots.values where snapshot.primary == .aof {
          let model = model(of: snapshot, world)
          guard let point = finder.newest(of: snapshot) else {
            Issue.record("seed \(seed): \(snapshot.sequence) gives no point")
            continue
          }
          points += 1
          if let last = model.cuts.last, !model.isCrossed {
            #expect(point.cut == last.position, "seed \(seed): \(point.id)")
          }
          for mark in history.chain(of: snapshot).marks {
            #expect(
              model.cuts.contains { $0.position == mark.position && $0.time == mark.time },
              "seed \(seed): \(mark) is not provably there")
          }
          try check(point, history, world, "seed \(seed): \(point.id)")
          planned += 1
        }
        try checkTimes(finder, &world, seed)
      }
    }
    #expect(points > 0 && planned == points)
  }

  /// `--at` gives the last mark that is not after the requested time, whether a name shows it or a fold
  /// contains it. The time of a later snapshot's dump is a whole second. When that second is over, the dump
  /// replaces log from within it.
  private func checkTimes(_ finder: PointFinder, _ world: inout HistoryWorld, _ seed: UInt64) throws
  {
    for _ in 0..<4 {
      let time = at(Int64(world.random.int(0...20_000)))
      var dumps: [(sequence: Int, time: Instant)] = []
      var marks: [(sequence: Int, time: Instant)] = []
      for (sequence, snapshot) in finder.snapshots {
        switch snapshot.primary {
        case .aof: marks += model(of: snapshot, world).marks.map { (sequence, $0) }
        case .rdb: dumps.append((sequence, snapshot.dump!.contentAt))
        case nil: break
        }
      }
      dumps.removeAll { $0.time > time }
      marks.removeAll { mark in
        mark.time > time
          || dumps.contains { dump in
            dump.sequence > mark.sequence && time.since(dump.time) >= 999
              && (1..<1000).contains(mark.time.since(dump.time))
          }
      }
      let best = (dumps + marks).map(\.time).max()
      var found = finder.last(notAfter: time)
      for inner in finder.inner(around: time) {
        let point = inner.last(of: world.inner[inner.name] ?? [], notAfter: time)
        if let point, found.map({ finder.isLater(point, than: $0, at: time) }) ?? true {
          found = point
        }
      }
      #expect(found?.instant == best, "seed \(seed): at \(time)")
      if let found {
        try check(found, finder.history, world, "seed \(seed): \(found.id) at \(time)")
      }
    }
  }

  /// Checks that the plan of a point gives exactly the bytes that were written, from objects that exist.
  private func check(
    _ point: RestorePoint, _ history: History, _ world: HistoryWorld, _ what: String
  ) throws {
    let plan: RestorePlan
    do throws(LifeboatError) {
      plan = try RestorePlanner(
        history: history, point: point, indexes: world.indexes, options: .init()
      ).plan()
    } catch {
      // Only an empty full copy is left, but there was more.
      #expect(error.code == .corrupt && point.cut?.offset == 0, "\(what): \(error)")
      return
    }
    var expected = cutFiles(point, world)
    for file in plan.files {
      guard case .log(let parts) = file.content else { continue }
      var bytes: [UInt8] = []
      for part in parts {
        let object = try #require(world.objects[part.name.text], "\(what): \(part.name.text)")
        #expect(part.span.from <= part.from && part.to <= part.span.to, "\(what)")
        bytes += object[Int(part.from - part.span.from)..<Int(part.to - part.span.from)]
      }
      #expect(file.size == UInt64(bytes.count), "\(what): \(file.name)")
      #expect(expected.removeValue(forKey: file.name) == bytes, "\(what): \(file.name)")
    }
    #expect(expected.isEmpty, "\(what): \(expected.keys) are missing")
  }

  private func cutFiles(_ point: RestorePoint, _ world: HistoryWorld) -> [String: [UInt8]] {
    guard point.primary == .aof else { return [:] }
    var files: [String: [UInt8]] = [:]
    for record in point.snapshot.chain!.files {
      files[record.file] = []
      for segment in record.segments {
        let log = world.truth[segment.timeline]?[segment.ordinal] ?? []
        var to = segment.to
        let isLast =
          point.cut?.timeline == segment.timeline && point.cut?.ordinal == segment.ordinal
        if isLast { to = point.cut!.offset }
        files[record.file]! += log[min(log.count, Int(segment.from))..<Int(to!)]
        if isLast { return files }
      }
    }
    return files
  }

  // MARK: The model

  private func successor(_ number: TimelineNumber, _ world: HistoryWorld) -> Claim? {
    world.claims.values.filter { $0.parent == number }.min { $0.timeline < $1.timeline }
  }

  private func existing(_ number: TimelineNumber, _ world: HistoryWorld) -> [Int] {
    let last = successor(number, world)?.end?.snapshots ?? .max
    return world.names.compactMap { name -> Int? in
      guard case .snapshot(number, let sequence) = name else { return nil }
      return sequence
    }.filter { $0 <= last }.sorted()
  }

  private func existing(_ segment: Snapshot.Segment, _ world: HistoryWorld) -> [LogSpan] {
    let successor = successor(segment.timeline, world)
    let last = successor.map { claim in
      claim.end?.ordinals.first { $0.ordinal == segment.ordinal }?.offset ?? 0
    }
    return world.names.compactMap { name -> LogSpan? in
      guard case .log(segment.timeline, segment.ordinal, let span) = name else { return nil }
      return span
    }.filter { $0.to <= last ?? .max }
  }

  /// Reads the chain byte by byte, until one is missing.
  private func model(of snapshot: Snapshot, _ world: HistoryWorld) -> Model {
    var model = Model()
    for segment in snapshot.chain!.files.flatMap(\.segments) {
      let spans = existing(segment, world)
      var held: Set<UInt64> = []
      for span in spans { held.formUnion(span.from..<span.to) }
      var reached = segment.from
      while reached < segment.to ?? .max, held.contains(reached) { reached += 1 }
      if let to = segment.to, spans.contains(where: { $0.from < to && $0.to > to }) {
        model.isCrossed = true
      }
      model.marks += (world.marks[segment.timeline]?[segment.ordinal] ?? []).filter {
        $0.offset > segment.from && $0.offset <= min(reached, segment.to ?? .max)
      }.map(\.time)
      for span in spans.sorted(by: { $0.to < $1.to })
      where span.to <= reached && span.to > segment.from {
        guard let time = span.mark else { continue }
        model.cuts.append(
          (
            LogPosition(timeline: segment.timeline, ordinal: segment.ordinal, offset: span.to),
            time
          ))
      }
      if segment.to.map({ reached < $0 }) ?? false { break }
    }
    return model
  }
}
