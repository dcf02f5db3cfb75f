import BackupFormat
import BackupTypes

/// Decides what is folded, and when folded objects may be deleted.
struct Compactor: Sendable {
  /// Objects are gathered only for the growing file.
  private var gatherer: (ordinal: Int, parts: FoldGatherer)?
  private var due: [FoldGatherer.Fold] = []
  private var removals: [(at: Instant, names: [String])] = []

  /// The next fold to be written.
  var next: FoldGatherer.Fold? { due.first }
  /// The files that the due folds read again.
  var pins: [PinID] { due.map(\.pin) }
  /// When folded objects may be deleted.
  var times: [Instant] { removals.map(\.at) }

  /// An object of the log became durable.
  mutating func gather(_ shipment: LogShipment, _ span: LogSpan) {
    var parts =
      gatherer.flatMap { $0.ordinal == shipment.ordinal ? $0.parts : nil }
      ?? FoldGatherer(pin: shipment.pin, ordinal: shipment.ordinal)
    if let fold = parts.add(span, marks: shipment.marks) { due.append(fold) }
    gatherer = (shipment.ordinal, parts)
  }

  /// Folds what was gathered of a file, if it is complete, and still held.
  mutating func finish(_ isComplete: (_ ordinal: Int) -> Bool) {
    guard let ordinal = gatherer?.ordinal, isComplete(ordinal) else { return }
    if let fold = gatherer?.parts.finish() { due.append(fold) }
    gatherer = nil
  }

  /// The next fold is durable, or could not be written. If it could not, nothing is lost: the objects that it
  /// would have replaced still exist.
  /// - Parameter removal: when the objects that it replaced may be deleted, and their names.
  mutating func end(removal: (at: Instant, names: [String])?) {
    due.removeFirst()
    if let removal { removals.append(removal) }
  }

  mutating func takeRemovals(now: Instant) -> [String] {
    let names = removals.filter { $0.at <= now }.flatMap(\.names)
    removals.removeAll { $0.at <= now }
    return names
  }
}
