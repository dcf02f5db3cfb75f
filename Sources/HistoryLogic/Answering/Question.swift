package import BackupFormat
package import BackupTypes

/// Which restore point is wanted.
package enum Question: Sendable, Equatable {
  /// Which state to take if the newest may be the result of an accident.
  package enum Suspect: String, Sendable, CaseIterable { case newest, before }

  /// If nil, the answer names both states, and a person chooses.
  case newest(Suspect? = nil)
  /// The newest of one timeline, which may be an abandoned branch.
  case timeline(TimelineNumber)
  /// The log of a timeline whose BASE never became durable, without a BASE.
  case unfinished(TimelineNumber)
  /// The state at a time: of the history that leads to the newest timeline, or of one timeline.
  case at(Instant, in: TimelineNumber? = nil)
  /// The state just before the last command of this name, in capitals.
  case before(String, in: TimelineNumber? = nil)
  /// By its id, `3.12` or `3.12@1:4096`, or by the name of a pin.
  case point(String)

  /// Whether the caller named a restore point, and so may want an older state.
  package var isNamed: Bool {
    if case .newest(let suspect) = self { suspect == .before } else { true }
  }
}

/// The id of a restore point, as printed by `list`: `3.12`, or `3.12@1:4096`. A position in the log of
/// another timeline names that: `3.12@2/1:4096`.
package struct PointID: Equatable, Sendable {
  package var timeline: TimelineNumber
  package var sequence: Int
  package var position: LogPosition?

  package var snapshot: SnapshotKey { SnapshotKey(timeline, sequence) }

  package init?(_ text: String) {
    let parts = text.split(separator: "@", omittingEmptySubsequences: false)
    let numbers = parts[0].split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, numbers.count == 2, let first = Int(numbers[0]),
      let timeline = TimelineNumber(first), let sequence = Int(numbers[1]), sequence > 0
    else { return nil }
    self.timeline = timeline
    self.sequence = sequence
    guard parts.count == 2 else { return }
    var rest = parts[1]
    var logTimeline = timeline
    if let slash = rest.firstIndex(of: "/") {
      guard let number = Int(rest[..<slash]), let other = TimelineNumber(number) else { return nil }
      logTimeline = other
      rest = rest[rest.index(after: slash)...]
    }
    let place = rest.split(separator: ":", omittingEmptySubsequences: false)
    guard place.count == 2, let ordinal = Int(place[0]), ordinal > 0, let offset = UInt64(place[1])
    else { return nil }
    position = LogPosition(timeline: logTimeline, ordinal: ordinal, offset: offset)
  }
}
