package import BackupFormat

/// An object of a log that overlaps others in a way that no writer leaves behind.
///
/// A writer's objects follow each other, and a fold covers whole ones of them, up to the mark of the last. If
/// an object begins or ends inside another, or covers others in any other way, somebody who may only create
/// objects may have made it. Its name alone would hide the marks of the true objects, or end the log. So it
/// is read before it counts. An object that looks like a fold hides no more than a fold does.
package struct LogOverlap: Sendable, Equatable {
  package var span: LogSpan
  /// Objects inside it.
  package var parts: [LogSpan]
  /// An object that it shares only some of its bytes with.
  package var crosses: LogSpan?

  /// The overlaps in one log, by their positions. Objects that look like folds are left out.
  package static func found(in spans: [LogSpan]) -> [LogOverlap] {
    guard !spans.followEachOther else { return [] }
    let sorted = LogRun.sorted(spans)
    var parts: [Int: [LogSpan]] = [:]
    var crossing: [Int: LogSpan] = [:]
    // Objects that contain the current position, each inside the one before it.
    var open: [Int] = []
    for (index, span) in sorted.enumerated() {
      while let last = open.last, sorted[last].to <= span.from { open.removeLast() }
      if let outer = open.last {
        if span.to <= sorted[outer].to {
          parts[outer, default: []].append(span)
        } else {
          crossing[outer] = span
          crossing[index] = sorted[outer]
        }
      }
      open.append(index)
    }
    return sorted.indices.compactMap { index in
      let inside = parts[index] ?? []
      let overlap = LogOverlap(span: sorted[index], parts: inside, crosses: crossing[index])
      return overlap.crosses == nil && (inside.isEmpty || overlap.looksLikeFold) ? nil : overlap
    }
  }

  private var looksLikeFold: Bool {
    var position = span.from
    for part in parts {
      guard part.from == position else { return false }
      position = part.to
    }
    return parts.count > 1 && position == span.to && parts.last?.mark == span.mark
  }
}

extension Catalogue {
  /// Whether other objects of its log have all bytes of an object.
  package func hasElsewhere(_ path: ObjectPath) -> Bool {
    guard case .log(let timeline, let ordinal, let span) = path else { return false }
    let others = (timelines[timeline]?.log[ordinal] ?? []).filter { $0 != span }
    return LogRun(others, from: span.from).end >= span.to
  }
}
