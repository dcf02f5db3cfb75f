package import BackupTypes

extension Chronicle {
  /// A gap between restore points of the present history that a reader should know about.
  package struct Gap: Sendable, Hashable, Encodable {
    package enum Kind: String, Sendable, CaseIterable, Encodable {
      /// Between two timelines: no shipper ran, or nothing was written. The two cases can't be distinguished
      /// afterwards.
      case unwatched
      /// Within a timeline: the log could not be followed; a new full copy had to be durable first.
      case unreadable
      /// There are only full copies, each of one instant.
      case dumps
    }
    package var kind: Kind
    @Stamped package var from: Instant
    @Stamped package var to: Instant
    package init(kind: Kind, from: Instant, to: Instant) {
      self.kind = kind
      self.from = from
      self.to = to
    }
  }

  /// A part of the present history that can be restored: a window, or a single restore point (`from` is
  /// `to`).
  private struct Part {
    var from: Instant
    var to: Instant
    /// Nil if it belongs to a timeline that was left out.
    var timeline: TimelineNumber?
    var isPoint: Bool
  }

  private var parts: [Part] {
    let known = timelines.flatMap { timeline in
      timeline.windows.filter { !$0.isAbandoned }.map {
        Part(from: $0.from, to: $0.to, timeline: timeline.number, isPoint: false)
      }
        + timeline.points.map {
          Part(from: $0.at, to: $0.at, timeline: timeline.number, isPoint: true)
        }
    }
    let earlier = earlier.map {
      Part(from: $0.from, to: $0.to, timeline: nil, isPoint: $0.from == $0.to)
    }
    return (earlier + known).sorted { ($0.from, $0.to) < ($1.from, $1.to) }
  }

  /// The windows of the present history, of all timelines. Touching windows are merged.
  package var presentWindows: [Window] {
    var windows = WindowUnion()
    for window in earlier { windows.add(window.from, window.to) }
    for timeline in timelines {
      for window in timeline.windows where !window.isAbandoned {
        windows.add(window.from, window.to)
      }
    }
    return windows.spans.map { Window(from: $0.from, to: $0.to) }
  }

  package var abandonedWindows: [(timeline: TimelineNumber, window: Window)] {
    timelines.flatMap { timeline in
      timeline.windows.filter(\.isAbandoned).map { (timeline.number, $0) }
    }
  }

  /// In order. Consecutive dumps make one gap together with those around them.
  package var gaps: [Gap] {
    var gaps: [Gap] = []
    var last: Part?
    for part in parts {
      defer { if last.map({ part.to >= $0.to }) ?? true { last = part } }
      guard let before = last, part.from > before.to else { continue }
      let kind: Gap.Kind =
        part.isPoint || before.isPoint
        ? .dumps
        : part.timeline != nil && part.timeline == before.timeline ? .unreadable : .unwatched
      if kind == .dumps, let previous = gaps.last, previous.kind == .dumps, previous.to == before.to
      {
        gaps[gaps.count - 1].to = part.from
      } else {
        gaps.append(Gap(kind: kind, from: before.to, to: part.from))
      }
    }
    return gaps
  }

  /// The first and the last instant with a restore point; nil if there is none.
  package var span: (from: Instant, to: Instant)? {
    let windows = earlier + timelines.flatMap(\.windows)
    let points = timelines.flatMap { $0.points.map(\.at) }
    guard let from = (windows.map(\.from) + points).min(),
      let to = (windows.map(\.to) + points).max()
    else { return newest.map { ($0.at, $0.at) } }
    return (from, to)
  }
}
