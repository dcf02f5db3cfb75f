import ArgumentParser
import BackupTypes
import HistoryLogic
import Recovery
import RepositoryAccess
import SystemIO
import SystemPackage

struct Inspect: ExitingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what a restore point or a data directory contains.",
    discussion: """
      Pass --repo for a restore point, or --data for a directory.

      Examples:
        # The newest restore point, with its largest keys
        lifeboat inspect --repo s3://backups/redis --keys
        # What a server would load from this directory
        lifeboat inspect --data /var/lib/redis
      """)

  @Option(
    help: ArgumentHelp(
      "The repository: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, file:///path, "
        + "or a path.",
      valueName: "url"), completion: .directory)
  var repo: String?
  @OptionGroup var transport: TransportOptions
  @OptionGroup var key: KeyOptions
  @Option(help: ArgumentHelp("A data directory.", valueName: "path"), completion: .directory)
  var data: String?
  @Option(
    help: ArgumentHelp(
      "A restore point by its id, or by the name of a pin (see list).", valueName: "id"))
  var point: String?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The last restore point at or before this time.", valueName: "time"))
  var at: String?
  @Flag(
    help: ArgumentHelp(
      "With --repo: read a full copy of any size for its largest keys and Ray clusters.",
      discussion: "Full copies of up to 64 MiB are always read."))
  var keys = false
  @OptionGroup var nameOptions: NameOptions
  @Flag(help: "Print one JSON document.")
  var json = false

  func execute() async throws -> BackupTypes.ExitCode {
    guard (repo == nil) != (data == nil) else {
      throw LifeboatError(.usage, "pass either --repo or --data")
    }
    let names = try nameOptions.resolve().names ?? ServerNames()
    let progress: @Sendable (UInt64, UInt64) -> Void = { Progress.show("reading", $0, of: $1) }
    if let data {
      let found = try DirectoryInspection.make(
        FilePath(data), names: names, progress: progress)
      if json { try Console.json(found) } else { Console.write(found.text) }
      return found.isSound ? .success : .corrupt
    }
    // `inspect` asks for no choice: it shows what a restore would ask about.
    var question = Question.newest(.newest)
    if let at { question = .at(try Restore.time(at, now: SystemClock.now())) }
    if let point { question = .point(point) }
    let store = try Stores.interactive(repo!, transport)
    let found = try await PointInspection.make(
      store, keys: key.source(), question: question,
      options: .init(readsAnyCopy: keys, url: RestoreCommand.url(repo!, store)),
      now: SystemClock.now(), progress: progress)
    if json { try Console.json(found) } else { Console.write(found.text) }
    return .success
  }
}
