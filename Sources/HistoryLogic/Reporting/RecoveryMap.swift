package import BackupTypes

/// What `restore --at` gives for each instant, as far as a listing shows, as rows in the order of time. The
/// page only looks up an instant here, and does not decide anything itself.
///
/// For example, a repository with one timeline from 10:00 to 12:00 has the rows `nothing` from the beginning
/// of time, `window` from 10:00, and `newest` after 12:00.
package struct RecoveryMap: Sendable, Equatable {
  package enum Kind: Int, Sendable, CaseIterable {
    /// Before the first restore point.
    case nothing
    /// Inside a recovery window of the present history.
    case window
    /// On the abandoned branch of a timeline.
    case branch
    /// Between two windows: `--at` finds nothing.
    case between
    /// After the newest restore point.
    case newest
  }

  package struct Row: Sendable, Equatable {
    /// The first instant of the row; nil for the beginning of time. A row ends where the next one begins.
    package var from: Instant?
    package var kind: Kind
    /// The last instant before these that can be restored, for `between` and `newest`.
    package var last: Instant?
    /// The first one after these, if there is one.
    package var next: Instant?
    /// The timeline of the branch.
    package var timeline: TimelineNumber?
  }

  package private(set) var rows: [Row] = []

  package init(_ chronicle: Chronicle) {
    let timelines = chronicle.timelines
    var present = WindowUnion()
    for window in chronicle.earlier { present.add(window.from, window.to) }
    var starts = present.spans.map(\.from)
    for timeline in timelines { starts += timeline.present.map(\.from) }
    starts.sort()
    // Each timeline answers for the time from its claim until the next claim; the first one also for the time
    // before.
    for (index, timeline) in timelines.enumerated() {
      for span in timeline.present { present.add(span.from, span.to) }
      var branch = WindowUnion()
      for window in timeline.windows where window.isAbandoned { branch.add(window.from, window.to) }
      let from = index == 0 ? nil : timeline.claimedAt
      let until = index + 1 < timelines.count ? timelines[index + 1].claimedAt : nil
      if let from, let until, until <= from { continue }
      let ends = (present.spans + branch.spans).flatMap {
        [$0.from, $0.to.advanced(byMilliseconds: 1)]
      }
      let edges = (ends + starts).filter { edge in
        from.map { edge > $0 } ?? true && until.map { edge < $0 } ?? true
      }
      add(from, present, branch, starts, timeline.number)
      for edge in Set(edges).sorted() { add(edge, present, branch, starts, timeline.number) }
    }
    if timelines.isEmpty { rows = [Row(from: nil, kind: .nothing)] }
    guard let newest = chronicle.newest?.at else { return }
    for index in rows.indices
    where rows[index].kind == .between && rows[index].last == newest && rows[index].next == nil {
      rows[index].kind = .newest
    }
  }

  /// The row of an instant.
  package func row(at instant: Instant) -> Row {
    rows[max(0, rows.partitioningIndex { $0.from.map { $0 > instant } ?? false } - 1)]
  }

  private mutating func add(
    _ from: Instant?, _ present: WindowUnion, _ branch: WindowUnion, _ starts: [Instant],
    _ timeline: TimelineNumber
  ) {
    let instant = from ?? Instant(milliseconds: .min)
    let after = starts.partitioningIndex { $0 > instant }
    var row = Row(from: from, kind: .nothing, next: after < starts.count ? starts[after] : nil)
    let last = [present.last(from: instant), branch.last(from: instant)].compactMap { $0?.to }.max()
    if present.contains(instant) {
      row = Row(from: from, kind: .window)
    } else if branch.contains(instant) {
      row = Row(from: from, kind: .branch, timeline: timeline)
    } else if let last {
      (row.kind, row.last) = (.between, last)
    }
    if var before = rows.last {
      before.from = from
      if before == row { return }
    }
    rows.append(row)
  }
}

extension Chronicle.Timeline {
  /// Its windows in the present history, and its restore points as windows of no length.
  fileprivate var present: [Chronicle.Window] {
    windows.filter { !$0.isAbandoned } + points.map { .init(from: $0.at, to: $0.at) }
  }
}

extension WindowUnion {
  /// The last span that begins at or before the instant.
  fileprivate func last(from instant: Instant) -> Span? {
    let index = spans.partitioningIndex { $0.from > instant }
    return index > 0 ? spans[index - 1] : nil
  }
  fileprivate func contains(_ instant: Instant) -> Bool {
    last(from: instant).map { instant <= $0.to } ?? false
  }
}
