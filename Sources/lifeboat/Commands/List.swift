import ArgumentParser
import BackupTypes
import Replication
import SystemIO

struct List: ExitingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show timelines, restore points, recovery windows and pins.")

  @OptionGroup var repository: RepositoryOptions
  @Flag(help: "Print one JSON document.")
  var json = false

  func execute() async throws -> BackupTypes.ExitCode {
    let store = try Stores.interactive(repository.repo, repository.transport)
    let line = ProgressLine()
    defer { line.end() }
    let listing = try await RepositoryListing.make(
      store, keys: repository.key.source(), now: SystemClock.now(), progress: { line.show($0) })
    line.end()
    if json { try Console.json(listing) } else { Console.write(listing.text) }
    return .success
  }
}
