package import BackupTypes

/// A union of spans of time: spans that touch are merged.
package struct WindowUnion: Sendable, Equatable {
  package struct Span: Sendable, Hashable {
    package var from: Instant
    package var to: Instant
  }

  /// In order, without one that touches the next.
  package private(set) var spans: [Span] = []

  package init() {}

  package mutating func add(_ from: Instant, _ to: Instant) {
    guard from <= to else { return }
    // In nearly all cases the last span grows, or a new one begins after it.
    var first = spans.count
    while first > 0, spans[first - 1].to >= from { first -= 1 }
    var last = first
    var made = Span(from: from, to: to)
    while last < spans.count, spans[last].from <= to {
      made.from = min(made.from, spans[last].from)
      made.to = max(made.to, spans[last].to)
      last += 1
    }
    spans.replaceSubrange(first..<last, with: [made])
  }

  /// The same with at most `count` spans.
  package func reduced(to count: Int) -> WindowUnion {
    var union = WindowUnion()
    union.spans = closed(to: count)
    return union
  }

  /// At most `count` spans: the smallest gaps are closed first.
  package func closed(to count: Int) -> [Span] {
    guard spans.count > max(1, count) else { return spans }
    let gaps = (1..<spans.count).sorted {
      spans[$0].from.since(spans[$0 - 1].to) > spans[$1].from.since(spans[$1 - 1].to)
    }
    let kept = Set(gaps.prefix(max(1, count) - 1))
    var result: [Span] = []
    for (index, span) in spans.enumerated() {
      if index == 0 || kept.contains(index) {
        result.append(span)
      } else {
        result[result.count - 1].to = span.to
      }
    }
    return result
  }
}
