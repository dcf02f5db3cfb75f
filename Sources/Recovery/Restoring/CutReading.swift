import BackupFormat
import BackupTypes
package import HistoryLogic
import RedisFormats
package import RepositoryAccess

/// Reads the log around the cut of a restore point: two log objects, or more if a command is larger than
/// that.
package struct CutReading {
  private let reader: HistoryReader

  package init(reader: HistoryReader) { self.reader = reader }

  /// Nil for a point without a log, and if the log can't be read: the plan works without it.
  package func surroundings(of point: RestorePoint) async throws -> CutSurroundings? {
    guard point.primary == .aof, let cut = point.cut,
      var found = CutSurroundings(
        of: point, marks: try await marks(of: point.snapshot, around: cut))
    else { return nil }
    do {
      let walk = LogWalk(reader: reader, snapshot: point.snapshot)
      try await walk.run(from: cut, margin: 1) { step in
        switch step.event {
        case .timestamp(let seconds, _):
          return found.take(second: Instant(seconds: seconds), at: step.place)
        case .command(let command):
          let argument = command.arguments.count > 1 ? command.arguments[1] : nil
          return found.take(
            .init(name: command.name, argument: argument, seenAt: step.seenAt), at: step.place)
        }
      }
    } catch let error as LifeboatError where error.code == .corrupt && error.missingObject == nil {
      return nil
    }
    found.end()
    return found
  }

  /// The marks in the names, and those inside the object that is cut.
  private func marks(of snapshot: Snapshot, around cut: LogPosition) async throws
    -> [CutSurroundings.Place]
  {
    let finder = PointFinder(
      history: reader.history, timeline: snapshot.timeline, snapshots: [snapshot.sequence: snapshot]
    )
    var marks = reader.history.chain(of: snapshot).marks.map {
      CutSurroundings.Place(position: $0.position, time: $0.time)
    }
    // The object that ends at the cut, and the one after it.
    let behind = LogPosition(timeline: cut.timeline, ordinal: cut.ordinal, offset: cut.offset + 1)
    for place in [cut, behind] {
      guard let inner = finder.inner(of: snapshot, at: place) else { continue }
      marks += inner.points(of: try await reader.marks(of: inner.name)).map {
        CutSurroundings.Place(position: $0.cut!, time: $0.instant)
      }
    }
    return marks
  }
}
