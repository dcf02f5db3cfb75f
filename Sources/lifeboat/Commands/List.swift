import ArgumentParser
import BackupTypes
import ReportPages
import RepositoryAccess
import SystemIO

struct List: ExitingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show timelines, restore points, recovery windows and pins.",
    discussion: """
      Ends with a drawing of the recovery windows, as wide as the terminal.

      Examples:
        lifeboat list --repo s3://backups/redis
        lifeboat list --repo /backups/redis --json
      """)

  @OptionGroup var repository: RepositoryOptions
  @Flag(help: "Print one JSON document.")
  var json = false

  func execute() async throws -> BackupTypes.ExitCode {
    let store = try Stores.interactive(repository.repo, repository.transport)
    let line = ProgressLine()
    defer { line.end() }
    let (listing, chronicle) = try await RepositoryListing.read(
      store, keys: repository.key.source(), now: SystemClock.now(), progress: { line.show($0) })
    line.end()
    guard !json else {
      try Console.json(listing)
      return .success
    }
    Console.write(listing.text)
    let drawing = WindowDrawing(
      chronicle, width: Terminal.outputWidth ?? 80, style: Console.drawsUnicode ? .unicode : .ascii)
    if let drawing { Console.write("\n" + drawing.text) }
    return .success
  }
}
