package import BackupFormat
package import BackupTypes

/// What stands on both sides of the place where a restore cuts the log: so that whoever chose a time sees
/// what it keeps and what it leaves out, before anything is written.
package struct CutSurroundings: Sendable, Equatable {
  /// How exactly the cut is that of a time.
  package enum Precision: String, Sendable {
    /// Everything that Redis executed before the second of the annotation behind the cut, and nothing else.
    case second
    /// Everything that the file was seen to hold at a mark.
    case mark
    /// Everything before one command, which was named or follows.
    case command
    /// A full copy, with nothing of a log.
    case copy
  }

  package struct Place: Sendable, Equatable {
    package var position: LogPosition
    package var time: Instant
    package init(position: LogPosition, time: Instant) {
      self.position = position
      self.time = time
    }
  }

  package struct Command: Sendable, Equatable {
    /// In capitals.
    package var name: String
    /// The first argument: of most commands the key.
    package var argument: [UInt8]?
    /// When the file was seen to hold it.
    package var seenAt: Instant
    package init(name: String, argument: [UInt8]?, seenAt: Instant) {
      self.name = name
      self.argument = argument
      self.seenAt = seenAt
    }
  }

  package private(set) var precision: Precision
  /// The last mark that the cut does not lie before, and the first behind it; nil where the log has none.
  package private(set) var markBefore: Place?
  package private(set) var markBehind: Place?
  package private(set) var lastKept: Command?
  package private(set) var firstLeftOut: Command?
  /// The second of the annotation at the cut.
  package private(set) var nextSecond: Instant?

  private let position: LogPosition
  private let chain: Snapshot.Chain

  /// - Parameter marks: those of the chain, in any order.
  /// - Returns: nil for a point that is no place in a log.
  package init?(of point: RestorePoint, marks: [Place]) {
    guard let chain = point.snapshot.chain, let position = point.cut else { return nil }
    self.chain = chain
    self.position = position
    let cut = chain.order(of: position)
    let ordered = marks.map { (place: $0, order: chain.order(of: $0.position)) }
      .sorted { $0.order < $1.order }
    markBefore = ordered.last { $0.order <= cut }?.place
    markBehind = ordered.first { $0.order > cut }?.place
    precision = ordered.contains { $0.order == cut } ? .mark : .copy
  }

  /// Takes in what stands in the log at `place`, in order. Returns whether to read on.
  package mutating func take(_ command: Command, at place: LogPosition) -> Bool {
    if chain.order(of: place) < chain.order(of: position) {
      lastKept = command
      return true
    }
    firstLeftOut = command
    end()
    return false
  }

  /// An annotation: what follows was executed in that second, or later.
  package mutating func take(second: Instant, at place: LogPosition) -> Bool {
    if chain.order(of: place) == chain.order(of: position) { nextSecond = second }
    return true
  }

  /// The log ends here.
  package mutating func end() {
    if nextSecond != nil, lastKept != nil || precision == .mark {
      precision = .second
    } else if precision == .copy, lastKept != nil {
      precision = .command
    }
  }
}

extension Snapshot.Chain {
  /// Where a position stands in the chain: its files can be of different timelines, not in their order.
  package func order(of position: LogPosition) -> (segment: Int, offset: UInt64) {
    let index = files.flatMap(\.segments).firstIndex {
      $0.timeline == position.timeline && $0.ordinal == position.ordinal
    }
    return (index ?? 0, position.offset)
  }
}
