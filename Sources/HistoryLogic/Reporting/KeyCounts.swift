import BackupFormat
import BackupTypes

/// Finds out from the counts in snapshots that most keys are gone.
///
/// A writer records a lower bound of the number of keys with each snapshot, and writes a snapshot when most
/// of them are gone. Keys that may have expired count as expired. A slow decline is not noticed: each count
/// is compared with the last one that was not much less.
package struct KeyCounts: Sendable {
  struct Count: Sendable, Equatable {
    var at: Instant
    var keys: UInt64
    var expires: UInt64
  }
  /// The last count from before a fall; without one, the last count.
  private(set) var known: Count?
  private(set) var isFallen = false
  private(set) var latest: Count?

  /// A fall is a count of less than a quarter of the one before, unless there were hardly any keys. A writer
  /// uses the same limits.
  static let factor: UInt64 = 4
  package static let keysMin: UInt64 = 16

  /// - Parameter isExplained: whether a command emptied a database between the last count and this one.
  /// - Returns: whether most of the known keys are gone.
  mutating func add(_ estimate: Snapshot.Estimate, at: Instant, isExplained: Bool) -> Bool {
    let count = Count(at: at, keys: estimate.keys, expires: estimate.expires)
    latest = count
    guard let before = known, !isExplained else {
      (known, isFallen) = (count, false)
      return false
    }
    isFallen =
      before.keys >= KeyCounts.keysMin && count.keys < before.keys / KeyCounts.factor
      && before.keys - count.keys > before.expires
    if !isFallen { known = count }
    return isFallen
  }
}
