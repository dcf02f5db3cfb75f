package import BackupTypes

/// `ops/requests/<digest of the id>`: a requested restore was performed. This is recorded here because the
/// volume can be lost while the request is still in the pod's manifest.
package struct PerformedRequest: Sendable, Equatable, Codable {
  package var id: String
  package var repository: Nonce
  package var at: Instant
  package var point: String

  package init(id: String, repository: Nonce, at: Instant, point: String) {
    self.id = id
    self.repository = repository
    self.at = at
    self.point = point
  }
}
