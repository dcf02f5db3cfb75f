import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage

/// Proves that snapshots that are missing from a listing do not exist, so that no snapshot counts as lost
/// because of an incomplete listing.
struct LostSnapshots: Sendable {
  let repository: Repository
  /// At most this many are also read by name.
  private static let readsMax = 1000

  /// - Throws: `.storeUnavailable` if one of them exists.
  func prove(_ missing: [TimelineNumber: [ClosedRange<Int>]]) async throws {
    var reads = 0
    for (timeline, ranges) in missing.sorted(by: { $0.key < $1.key }) {
      let prefix = ObjectPath.timeline(timeline) + "snapshots/"
      let listed = try await repository.catalogue(prefix: prefix).timelines[timeline]?.snapshots
      for range in ranges {
        if let sequence = listed?.first(where: { range.contains($0) }) {
          throw isThere(timeline, sequence)
        }
        for sequence in range {
          guard reads < LostSnapshots.readsMax else { break }
          reads += 1
          let name = ObjectPath.snapshot(timeline, sequence: sequence)
          if try await repository.store.has(
            name.text, limit: ObjectKind.snapshot.objectBytesMax)
          {
            throw isThere(timeline, sequence)
          }
        }
      }
    }
  }

  private func isThere(_ timeline: TimelineNumber, _ sequence: Int) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, "the listing of \(repository.store.location) is not complete",
      cause: "it lacked snapshot \(sequence) of timeline \(timeline), which exists",
      hint: "nothing was deleted: run it again", isRetryable: true)
  }
}
