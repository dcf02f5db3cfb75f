package import BackupTypes

/// `ops/quarantines/<generation>`: that generation was found damaged and counts as absent.
package struct Quarantine: Sendable, Equatable, Codable {
  package var generation: GenerationID
  package var repository: Nonce
  package var at: Instant
  /// The damaged object.
  package var object: String
  package var reason: String
  package var by: String

  package init(
    generation: GenerationID, repository: Nonce, at: Instant, object: String, reason: String,
    by: String
  ) {
    self.generation = generation
    self.repository = repository
    self.at = at
    self.object = object
    self.reason = reason
    self.by = by
  }
}
