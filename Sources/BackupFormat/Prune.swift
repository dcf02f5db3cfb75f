package import BackupTypes

/// `ops/prunes/<id>`: what retention deletes, so that a deletion can be distinguished from a loss. It is
/// written before the first deletion of a run, and repeats everything from earlier records that is still
/// needed.
package struct Prune: Sendable, Equatable, Codable {
  /// Deleted snapshots of one timeline, or those about to be deleted: the numbers `from` to `to`.
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
  /// The log of one file that is being deleted, because no snapshot names it any more.
  package struct Log: Sendable, Hashable, Codable {
    package var timeline: TimelineNumber
    package var ordinal: Int
    package init(timeline: TimelineNumber, ordinal: Int) {
      self.timeline = timeline
      self.ordinal = ordinal
    }
  }
  /// A run that would delete more than half of the restore points announces this first, and waits.
  package struct Announcement: Sendable, Equatable, Codable {
    package var at: Instant
    /// How many restore points would be deleted, and of how many.
    package var points: Int
    package var of: Int
    package init(at: Instant, points: Int, of: Int) {
      self.at = at
      self.points = points
      self.of = of
    }
  }

  /// 13 digits of unix milliseconds and a random part.
  package var id: String
  package var repository: Nonce
  package var at: Instant
  package var by: String
  package var gone: [Gone]
  /// Deleted dumps that snapshots still name beside their chain. A restore works without them.
  package var dumps: [GenerationID]
  /// Logs that are being deleted, because nothing refers to them.
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
