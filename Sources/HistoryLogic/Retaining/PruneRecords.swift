package import BackupFormat
package import BackupTypes

/// The records of a run of retention. Because of them, its deletions can be distinguished from a loss.
package enum PruneRecords {
  /// The content without author and time.
  package struct Content: Sendable {
    private var letGo: LetGo
    private var dumps: [GenerationID]
    private var logs: [Prune.Log]
    private var generations: [GenerationID]
    private var announced: Prune.Announcement?

    fileprivate init(
      letGo: LetGo, dumps: [GenerationID], logs: [Prune.Log], generations: [GenerationID],
      announced: Prune.Announcement?
    ) {
      self.letGo = letGo
      self.dumps = dumps
      self.logs = logs
      self.generations = generations
      self.announced = announced
    }

    package func record(id: String, repository: Nonce, at: Instant, by: String) -> Prune {
      Prune(
        id: id, repository: repository, at: at, by: by, gone: letGo.gone, dumps: dumps,
        logs: logs, generations: generations, announced: announced)
    }
  }

  /// Before anything is deleted.
  package static func deleting(_ plan: PrunePlan) -> Content {
    Content(
      letGo: plan.letGo, dumps: plan.dumpsGone, logs: plan.logsGone,
      generations: plan.generationsGone, announced: nil)
  }

  /// Nothing is deleted: earlier records stay valid.
  package static func announcing(
    _ announcement: Prune.Announcement, _ basis: RetentionBasis
  ) -> Content {
    Content(
      letGo: basis.letGo, dumps: basis.letGo.dumps.sorted { $0.description < $1.description },
      logs: basis.letGo.logs.sorted { ($0.timeline, $0.ordinal) < ($1.timeline, $1.ordinal) },
      generations: basis.letGo.generations.sorted { $0.description < $1.description },
      announced: announcement)
  }
}
