package import BackupFormat
package import RedisFormats

/// Reads the log of one ordinal across its objects, in order. Redis's framing must be valid, and every
/// position that a mark names must be one where a loader may stop.
package struct LogCheck: Sendable {
  /// The position after the last byte read.
  package private(set) var position: UInt64
  /// Positions where another timeline continues, by offset: its own log is read from there.
  package private(set) var stopped: [UInt64: AOFScanner] = [:]
  private var scanner: AOFScanner?
  private let stops: [UInt64]

  /// - Parameter scanner: its state at `position`. Nil if that is unknown; each object can then only be
  ///   checked by itself.
  package init(at position: UInt64, scanner: AOFScanner?, stops: [UInt64]) {
    self.position = position
    self.scanner = scanner
    self.stops = stops
    if let scanner, stops.contains(position) { stopped[position] = scanner }
  }

  /// Something is missing, so the following objects can't be checked together with the earlier ones.
  package mutating func giveUp() { scanner = nil }

  /// Reads the next object. Returns what is wrong in it; nil if nothing is.
  package mutating func consume(_ payload: LogPayload, _ span: LogSpan) -> String? {
    guard span.from <= position, span.to > position else { return nil }
    defer { position = span.to }
    guard scanner != nil else { return nil }
    var marks = Set(payload.marks.filter { $0.kind == .seen }.map(\.offset))
    if span.mark != nil { marks.insert(span.to) }
    let cuts = marks.union(stops).union([span.to]).filter { $0 > position && $0 <= span.to }
      .sorted()
    return payload.bytes.withUnsafeBytes { bytes in
      var reached = position
      for cut in cuts {
        scanner?.consume(
          UnsafeRawBufferPointer(
            rebasing: bytes[Int(reached - span.from)..<Int(cut - span.from)]))
        reached = cut
        // The findings are not needed here, but would be kept until they are taken.
        _ = scanner?.takeFindings()
        if let problem = judge(cut, isMark: marks.contains(cut)) {
          scanner = nil
          return problem
        }
      }
      return nil
    }
  }

  private mutating func judge(_ cut: UInt64, isMark: Bool) -> String? {
    guard let scanner else { return nil }
    if let fault = scanner.fault { return "\(fault.reason) at offset \(fault.offset) of the log" }
    if stops.contains(cut) { stopped[cut] = scanner }
    if isMark, scanner.boundary != cut {
      return "it has a mark at offset \(cut) of the log, which is inside a command or transaction"
    }
    return nil
  }
}
