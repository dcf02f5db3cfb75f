/// Something in an append-only file that matters for choosing a point in time.
package struct AOFFinding: Sendable, Equatable {
  package enum Kind: Sendable, Equatable {
    /// An annotation `#TS:` with a unix time. The commands after it were executed in or after that second.
    case timestamp(seconds: Int64)
    /// `FLUSHALL`, `FLUSHDB`, `SWAPDB`, `FUNCTION FLUSH` or `CLUSTER FLUSHSLOT`.
    case destructive(name: String)
  }
  package var kind: Kind
  /// The offset of its first byte; for a command in a transaction, of MULTI.
  package var start: UInt64
  /// The offset after it; for a command in a transaction, after EXEC.
  package var end: UInt64

  package init(kind: Kind, start: UInt64, end: UInt64) {
    self.kind = kind
    self.start = start
    self.end = end
  }

  fileprivate var isTimestamp: Bool {
    if case .timestamp = kind { true } else { false }
  }
}

/// The findings between two takes. Their number is bounded.
///
/// When it is full, timestamps are dropped: at first every second one, and for a destructive command all of
/// them. Only destructive commands beyond the limit itself are lost.
struct AOFFindings: Sendable {
  static let countMax = 65_536
  /// Fewer timestamps than this are not worth a pass over the whole list.
  private static let thinningMin = 1024

  private var released: [AOFFinding] = []
  /// The findings of the transaction that is not complete yet.
  private var held: [AOFFinding] = []
  private var timestamps = 0

  mutating func add(_ finding: AOFFinding, insideTransaction: Bool) {
    if released.count + held.count >= AOFFindings.countMax, !makeRoom(for: finding) { return }
    if finding.isTimestamp { timestamps += 1 }
    if insideTransaction { held.append(finding) } else { released.append(finding) }
  }

  /// Releases the transaction's findings. Its commands take effect together, from `start` to `end`.
  mutating func release(from start: UInt64, to end: UInt64) {
    guard !held.isEmpty else { return }
    for finding in held where !finding.isTimestamp {
      released.append(AOFFinding(kind: finding.kind, start: start, end: end))
    }
    released.append(contentsOf: held.lazy.filter { $0.isTimestamp })
    held.removeAll()
  }

  mutating func take() -> [AOFFinding] {
    defer {
      released.removeAll()
      timestamps = held.reduce(0) { $0 + ($1.isTimestamp ? 1 : 0) }
    }
    return released
  }

  private mutating func makeRoom(for finding: AOFFinding) -> Bool {
    if finding.isTimestamp {
      guard timestamps >= AOFFindings.thinningMin else { return false }
      thin(keepingEverySecond: true)
    } else {
      guard timestamps > 0 else { return false }
      thin(keepingEverySecond: false)
    }
    return true
  }

  private mutating func thin(keepingEverySecond: Bool) {
    var kept = 0
    var isOdd = false
    func keeps(_ finding: AOFFinding) -> Bool {
      guard finding.isTimestamp else { return true }
      isOdd.toggle()
      guard keepingEverySecond, isOdd else { return false }
      kept += 1
      return true
    }
    released = released.filter(keeps)
    held = held.filter(keeps)
    timestamps = kept
  }
}
