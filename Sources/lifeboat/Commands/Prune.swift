import ArgumentParser
import BackupTypes
import ObjectStorage
import RepositoryAccess
import SystemIO

struct Prune: RepositoryCommand {
  static let configuration = CommandConfiguration(
    abstract: "Apply the retention policy: delete old restore points.",
    discussion: """
      Keeps every restore point of --keep-within, then the last of each day for --keep-daily, everything \
      that a pin keeps, and always the newest. If there is no AOF, it keeps all dumps of the last day, then \
      one for each hour of --keep-hourly, then one for each day. ship does the same once an hour, with its \
      own flags. Use prune if ship runs with --no-prune, or with --dry-run to see what would be deleted.
      A run that would delete more than half of the restore points deletes nothing and says so. The first \
      run a day later deletes them; --confirm deletes them at once.
      While a snapshot is missing, nothing is deleted, because it is not known what the snapshot needs. \
      With --confirm, a snapshot that is certainly missing counts as lost, in this run and in all later \
      runs, including those of ship.

      Examples:
        # Show what would be deleted
        lifeboat prune --repo s3://backups/redis --dry-run
        lifeboat prune --repo s3://backups/redis --keep-within 14d --keep-daily 60
      """)

  @OptionGroup var repository: RepositoryOptions
  @OptionGroup var retention: RetentionOptions
  @Flag(help: "Print what would be deleted; change nothing.")
  var dryRun = false
  @Flag(
    help: ArgumentHelp(
      "Delete now, even more than half of the restore points, and declare missing snapshots lost."))
  var confirm = false
  @Flag(help: "Print one JSON document.")
  var json = false

  func execute() async throws -> BackupTypes.ExitCode {
    let policy = try retention.policy()
    let store = try Stores.interactive(repository.repo, repository.transport)
    guard let opened = try await Repository.open(store, keys: repository.key.source()) else {
      throw LifeboatError(
        .noBackup, "there is no backup at \(store.location)", hint: "check the bucket and prefix")
    }
    let report = try await Pruner(
      opened,
      options: .init(
        policy: policy, by: "lifeboat prune", isDryRun: dryRun, isConfirmed: confirm),
      now: { SystemClock.now() },
      reading: { Progress.show("reading", $0, of: $1, .record) },
      progress: { Progress.show("deleting", $0, of: $1, .object) }
    ).run()
    if json {
      try Console.json(report)
    } else {
      Console.write(report.text)
    }
    return .success
  }
}
