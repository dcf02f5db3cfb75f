import ArgumentParser
import BackupTypes
import ObjectStorage
import RepositoryAccess
import SystemIO

struct Pinning: RepositoryCommand {
  static let configuration = CommandConfiguration(
    commandName: "pin",
    abstract: "Keep the newest restore point under a name.",
    discussion: """
      Retention keeps it until it is released with unpin, or until --for is over. `restore --point NAME` \
      restores it. The newest restore point is what the repository holds now: run `lifeboat sync --wait` \
      first to include all that is on disk.

      Examples:
        lifeboat pin --repo s3://backups/redis --name before-migration
        lifeboat pin --repo s3://backups/redis --name before-upgrade --for 90d
      """)

  @OptionGroup var repository: RepositoryOptions
  @Option(
    help: ArgumentHelp(
      "The name: 1 to 41 of a-z, 0-9 and -, beginning with a letter.", valueName: "name"))
  var name: String
  @Option(name: .customLong("for"), help: ArgumentHelp("How long it is kept.", valueName: "time"))
  var keptFor = Milliseconds(30 * 86_400_000)
  @Flag(help: "Print one JSON document.")
  var json = false

  func execute() async throws -> BackupTypes.ExitCode {
    guard keptFor.value > 0 else { throw LifeboatError(.usage, "--for must be longer than 0") }
    let store = try Stores.interactive(repository.repo, repository.transport)
    guard let opened = try await Repository.open(store, keys: repository.key.source()) else {
      throw LifeboatError(
        .noBackup, "there is no backup at \(store.location)", hint: "check the bucket and prefix")
    }
    let pin = try await NamedPin.make(
      name, keptFor: keptFor.value, in: opened,
      url: RestoreCommand.url(repository.repo, store), now: SystemClock.now())
    if json {
      try Console.json(pin)
    } else {
      Console.line("pinned \(pin.point) of \(pin.instant) as \(pin.name), until \(pin.until)")
      Console.line("  \(pin.restore)")
    }
    return .success
  }
}
