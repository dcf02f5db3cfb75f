import ArgumentParser
import BackupTypes
import ReportPages
import RepositoryAccess
import SystemIO

struct List: RepositoryCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what can be restored.",
    discussion: """
      Begins with what needs attention: removed data, suspect starts and pins, each with the commands that \
      undo or accept it. Then it prints one row for each recovery window, the newest first, with the number \
      of keys at its end, and a drawing of the windows, as wide as the terminal.

      Examples:
        lifeboat list --repo s3://backups/redis
        lifeboat list --repo /backups/redis --json
      """)

  @OptionGroup var repository: RepositoryOptions
  @Flag(help: "Print one JSON document.")
  var json = false

  func execute() async throws -> BackupTypes.ExitCode {
    let store = try Stores.interactive(repository.repo, repository.transport)
    let (listing, chronicle) = try await RepositoryListing.read(
      store, keys: repository.key.source(), url: RestoreCommand.url(repository.repo, store),
      now: SystemClock.now(), progress: { Progress.show("reading", $0, of: $1, .record) })
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
