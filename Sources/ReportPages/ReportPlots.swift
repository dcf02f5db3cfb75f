import BackupFormat
import BackupTypes
import HistoryLogic

/// Lag and sizes over time.
struct ReportPlots {
  let chronicle: Chronicle

  init(_ chronicle: Chronicle) { self.chronicle = chronicle }

  var html: HTML {
    """
    <section aria-labelledby="plots"><h2 id="plots">Lag and sizes</h2>\
    <div class="plots">\(lag.html)\(log.html)\(sizes.html)\(keys.html)</div>\
    <p class="note">Lag: the time from a write to its upload, by the store's clock. Each bar is the maximum of \
    \(humanDuration(milliseconds: chronicle.log.bucketSeconds * 1000)). Sizes of full copies are those of \
    Redis's files: a square is a BASE of the AOF, a circle a dump.\
    \(chronicle.generationsLeftOut > 0 ? " " + counted(chronicle.generationsLeftOut, "older full copy is", "older full copies are") + " left out." : "")\
    </p></section>
    """
  }

  /// All plots have the same axis, so that they can be compared: from the first plotted value to the end of
  /// the drawing of windows.
  private var axis: TimeAxis {
    let times =
      chronicle.log.buckets.map(\.at) + chronicle.generations.map(\.at)
      + [chronicle.span?.from ?? chronicle.readAt]
    let width = chronicle.log.bucketSeconds * 1000
    let last = (times + [chronicle.span?.to ?? chronicle.readAt]).max() ?? chronicle.readAt
    let latest = chronicle.readAt.advanced(byMilliseconds: 86_400_000)
    let end = min(last.advanced(byMilliseconds: width), latest)
    let first = min(times.min() ?? end, end)
    // A margin, so that points at the ends are visible.
    let margin = end.since(first) / 64
    return TimeAxis(
      from: first.advanced(byMilliseconds: -margin), to: end.advanced(byMilliseconds: margin))
  }

  private var lag: Plot {
    let buckets = chronicle.log.buckets.filter { $0.lagMax != nil }
    let width = chronicle.log.bucketSeconds * 1000
    return Plot(
      name: "lag", title: "Lag of the log", scaleWords: "longest lag", shape: .bars,
      values: buckets.map { .init(at: $0.at, value: Double($0.lagMax ?? 0) / 1000) },
      width: width, axis: axis, format: { duration($0) },
      decades: [1, 10, 60, 600, 3600, 21_600, 86_400, 604_800])
  }

  private var log: Plot {
    let width = chronicle.log.bucketSeconds * 1000
    return Plot(
      name: "log",
      title: "Log shipped, each \(humanDuration(milliseconds: width))",
      scaleWords: "bytes of Redis's file", shape: .bars,
      values: chronicle.log.buckets.map { .init(at: $0.at, value: Double($0.bytes)) },
      width: width, axis: axis,
      format: { humanBytes(nearest($0)) })
  }

  private var sizes: Plot {
    let all = chronicle.generations
    return Plot(
      name: "sizes", title: "Size of full copies", scaleWords: "bytes", shape: .dots,
      values: all.map { .init(at: $0.at, value: Double($0.bytes), isMarked: $0.kind == .base) },
      axis: axis, format: { humanBytes(nearest($0)) })
  }

  private var keys: Plot {
    let counted = chronicle.generations.filter { $0.keys != nil }
    return Plot(
      name: "keys", title: "Keys in full copies", scaleWords: "keys", shape: .dots,
      values: counted.map {
        .init(at: $0.at, value: Double($0.keys ?? 0), isMarked: $0.kind == .base)
      },
      axis: axis, format: { grouped(nearest($0)) })
  }
}

/// The whole number that is nearest to a value of a plot. Values from a repository may be as large as the
/// largest number, and could be rounded up beyond it.
func nearest(_ value: Double) -> UInt64 {
  UInt64(exactly: max(0, value).rounded(.towardZero)) ?? .max
}

/// `1 234 567`, with narrow spaces.
func grouped(_ number: UInt64) -> String {
  var result = ""
  let digits = Array(String(number))
  for (index, digit) in digits.enumerated() {
    if index > 0, (digits.count - index) % 3 == 0 { result += "\u{202f}" }
    result.append(digit)
  }
  return result
}
