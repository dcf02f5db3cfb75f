package import BackupTypes

/// `ops/requests/<digest of the id>`: a restore that was requested once was performed. A volume can be lost
/// with all that it knew, and the request may still be in the manifest of the pod.
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
