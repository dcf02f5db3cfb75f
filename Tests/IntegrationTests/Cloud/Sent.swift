import BackupFormat
import BackupTypes
import TestSupport

/// What was sent, according to the names on a server. Finds what was sent twice.
struct Sent {
  private(set) var timelines = 0
  private(set) var problems: [String] = []
  private var logs: [String: [LogSpan]] = [:]
  private var generations: [ShortDigest: Set<Nonce>] = [:]
  private var pieces: [String: Int] = [:]

  /// - Parameter names: the names with their bucket and `prefix/`.
  init(_ names: [String]) throws {
    for name in names {
      guard let start = name.firstRange(of: "/prefix/") else {
        throw HarnessError("\(name) is not of the repository")
      }
      let text = String(name[start.upperBound...])
      switch ObjectPath(text) {
      case nil: problems.append("\(text) is foreign")
      case .claim: timelines += 1
      case .log(let timeline, let ordinal, let span):
        logs["\(timeline)/\(ordinal)", default: []].append(span)
      case .piece(let id, let number, _):
        generations[id.fingerprint, default: []].insert(id.nonce)
        pieces["\(id)/\(number)", default: 0] += 1
      default: break
      }
    }
    for (id, nonces) in generations where nonces.count > 1 {
      problems.append("the generation \(id.hexadecimal) is there \(nonces.count) times")
    }
    for (piece, count) in pieces where count > 1 {
      problems.append("the piece \(piece) is there \(count) times")
    }
    for (file, spans) in logs { check(file, spans) }
  }

  /// Checks the bytes of one file: they were sent once, in order and without a gap, and once more if they
  /// were folded.
  private mutating func check(_ file: String, _ spans: [LogSpan]) {
    let sorted = spans.sorted { ($0.from, $1.to) < ($1.from, $0.to) }
    let folds = sorted.filter { fold in
      let inner = sorted.filter { $0 != fold && $0.from >= fold.from && $0.to <= fold.to }
      return inner.count > 1 && inner.reduce(0) { $0 + $1.count } == fold.count
    }
    var end: UInt64?
    for span in sorted where !folds.contains(span) {
      if let end, span.from != end {
        problems.append("log \(file): \(span.from) follows \(end)")
      }
      end = span.to
    }
  }
}
