import BackupFormat
import BackupTypes
import Logging
import ObjectStorage
import RepositoryAccess
import Synchronization
import SystemIO

/// Whether the store has been seen to refuse a second creation of one name.
final class StoreRefusal: Sendable {
  private let state = Mutex(false)
  var isProved: Bool { state.withLock { $0 } }
  func prove() { state.withLock { $0 = true } }
}

extension Shipper {
  /// How long all writers that race for a claim may take to write theirs, on a store that refuses none of
  /// them.
  private static let settlingTime: Int64 = 5000

  /// Creates a claim. Returns whether it is the one that stands.
  ///
  /// On a store that does not refuse a second creation, every writer that races for a claim believes that it
  /// won. Such a store is detected by creating the same claim again, which changes nothing on any other
  /// store. On such a store the last writer has won, which is known only after all have written.
  func isWon(_ claim: Claim, _ repository: Repository) async throws -> Bool {
    let name = ObjectPath.claim(claim.timeline)
    guard !(try await store.has(name.text, limit: ObjectKind.claim.objectBytesMax)),
      try await repository.create(claim, name, kind: .claim) == .created,
      try await repository.claim(claim.timeline).nonce == claim.nonce
    else { return false }
    guard !refusal.isProved else { return true }
    if store.createsConditionally, try await repository.createAgain(claim, name, kind: .claim) {
      refusal.prove()
      return true
    }
    logger.warning(
      "this store has no create-if-absent: if two shippers start at once, one stops after reading back",
      metadata: [
        "repository": "\(store.location)",
        "remedy":
          "never run two shippers on one repository, or use a store with conditional writes",
      ])
    try await time.sleep(milliseconds: Shipper.settlingTime)
    return try await repository.claim(claim.timeline).nonce == claim.nonce
  }
}
