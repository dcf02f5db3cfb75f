package import BackupFormat
package import BackupTypes

/// The log on both sides of the cut of a restore. It shows the user, before anything is written, what the
/// chosen time includes and what it leaves out.
package struct CutSurroundings: Sendable, Equatable {
  /// How exactly the cut matches a time.
  package enum Precision: String, Sendable {
    /// Exactly the commands that Redis executed before the second of the annotation after the cut.
    case second
    /// Everything that was in the file at the time of a mark.
    case mark
    /// Everything before one command, which was named or comes next.
    case command
    /// A full copy, without any log.
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
    /// The first argument; for most commands this is the key.
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
  /// The last mark at or before the cut, and the first after it; nil if the log has none.
  package private(set) var markBefore: Place?
  package private(set) var markBehind: Place?
  package private(set) var lastKept: Command?
  package private(set) var firstLeftOut: Command?
  /// The second of the annotation at the cut.
  package private(set) var nextSecond: Instant?

  private let position: LogPosition
  private let chain: Snapshot.Chain

  /// - Parameter marks: those of the chain, in any order.
  /// - Returns: nil for a point without a position in a log.
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

  /// Takes the command at `place`; call in the order of the log. Returns whether to read on.
  package mutating func take(_ command: Command, at place: LogPosition) -> Bool {
    if chain.order(of: place) < chain.order(of: position) {
      lastKept = command
      return true
    }
    firstLeftOut = command
    end()
    return false
  }

  /// Takes an annotation. The commands after it were executed in that second, or later.
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
  /// A value to sort positions of the chain by. The files of a chain can belong to different timelines, in
  /// any order.
  package func order(of position: LogPosition) -> (segment: Int, offset: UInt64) {
    let index = files.flatMap(\.segments).firstIndex {
      $0.timeline == position.timeline && $0.ordinal == position.ordinal
    }
    return (index ?? 0, position.offset)
  }
}
