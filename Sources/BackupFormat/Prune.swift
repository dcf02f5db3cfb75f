package import BackupTypes

/// `ops/prunes/<id>`: what retention let go of, so that it is told apart from a loss. Written before the
/// first deletion of a run; it has all that the records before it had and that still has to be known.
package struct Prune: Sendable, Equatable, Codable {
  /// Snapshots of one timeline that went, or are about to: the numbers `from` to `to`.
  package struct Gone: Sendable, Equatable, Codable {
    package var timeline: TimelineNumber
    package var from: Int
    package var to: Int
    package init(timeline: TimelineNumber, from: Int, to: Int) {
      self.timeline = timeline
      self.from = from
      self.to = to
    }
  }
  /// The log of one file that is on its way out: no snapshot names it any more.
  package struct Log: Sendable, Hashable, Codable {
    package var timeline: TimelineNumber
    package var ordinal: Int
    package init(timeline: TimelineNumber, ordinal: Int) {
      self.timeline = timeline
      self.ordinal = ordinal
    }
  }
  /// A run that would take more than half of the restore points says so first, and waits.
  package struct Announcement: Sendable, Equatable, Codable {
    package var at: Instant
    /// Restore points that would go, of how many.
    package var points: Int
    package var of: Int
    package init(at: Instant, points: Int, of: Int) {
      self.at = at
      self.points = points
      self.of = of
    }
  }

  /// Of unix milliseconds of 13 digits and a random part.
  package var id: String
  package var repository: Nonce
  package var at: Instant
  package var by: String
  package var gone: [Gone]
  /// Dumps that snapshots still name beside their chain, and that went: a restore does without them.
  package var dumps: [GenerationID]
  /// On their way out: nothing refers to them.
  package var logs: [Log]
  package var generations: [GenerationID]
  package var announced: Announcement?

  package init(
    id: String, repository: Nonce, at: Instant, by: String, gone: [Gone], dumps: [GenerationID],
    logs: [Log], generations: [GenerationID], announced: Announcement?
  ) {
    self.id = id
    self.repository = repository
    self.at = at
    self.by = by
    self.gone = gone
    self.dumps = dumps
    self.logs = logs
    self.generations = generations
    self.announced = announced
  }
}
