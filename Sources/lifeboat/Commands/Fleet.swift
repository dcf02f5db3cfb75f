import ArgumentParser
import BackupTypes
import HistoryLogic
import ReportPages
import RepositoryAccess
import SystemIO
import SystemPackage

struct Fleet: RepositoryCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show every repository below a prefix, the most urgent first.",
    discussion: """
      Finds the repositories below --repo, at any depth up to eight levels, and prints one row for each: its \
      state, the age of its newest restore point, how far back its history goes, its size, its last drill \
      and its source. Reads the same records as report, and no data of Redis. One key is used for all \
      encrypted repositories.
      The exit code is that of the most urgent row: damaged 5, suspect 9, a failed drill 5, denied or \
      unavailable 4, locked 8, newer 10, empty 3. Removed data and old restore points are rows to look at, \
      with exit 0. If there is no repository at all: 3.

      Examples:
        lifeboat fleet --repo s3://backups
        lifeboat fleet --repo s3://backups/production --html fleet.html
        lifeboat fleet --repo /backups --json
      """)

  @OptionGroup var repository: RepositoryOptions
  @Option(
    help: ArgumentHelp(
      "Show a repository as old if its newest restore point is older than this; 0: never.",
      discussion: "An idle Redis has no newer restore point.", valueName: "time"))
  var maxAge = Milliseconds(86_400_000)
  @Option(
    help: ArgumentHelp(
      "Also write an HTML page to this file; an existing file is replaced.", valueName: "path"),
    completion: .file())
  var html: String?
  @Flag(help: "Print one JSON document.")
  var json = false

  func execute() async throws -> BackupTypes.ExitCode {
    let store = try Stores.interactive(repository.repo, repository.transport)
    let fleet = try await FleetReader(
      store, keys: repository.key.source(),
      options: .init(ageMax: maxAge.value == 0 ? nil : maxAge.value), now: { SystemClock.now() },
      progress: { Progress.show("reading", $0, of: $1, .repository) }
    ).run()
    if let html {
      let path = FilePath(html)
      let folder = path.removingLastComponent()
      try DurableFile.replace(
        path.lastComponent?.string ?? "", in: OpenDirectory(folder.isEmpty ? "." : folder),
        bytes: FleetPage(fleet: fleet, version: Lifeboat.version).bytes, mode: 0o644)
    }
    if json {
      try Console.json(fleet)
    } else {
      Console.write(fleet.text)
    }
    return fleet.exitCode
  }
}
