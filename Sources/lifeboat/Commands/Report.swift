import ArgumentParser
import BackupTypes
import HistoryLogic
import ReportPages
import RepositoryAccess
import SystemIO
import SystemPackage

struct Report: RepositoryCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draw one self-contained page of a repository.",
    discussion: """
      An HTML page, made from the repository alone. It shows recovery windows and gaps, full copies, \
      restarts, destructive commands, pins, lag and sizes, the last drill, and the restore command for an \
      instant that you choose on it. It loads nothing from the network and contains no key or value of \
      Redis. The running sidecar serves the same page at its --admin-listen.

      Examples:
        lifeboat report --repo s3://backups/redis --output report.html
        lifeboat report --repo /backups/redis >report.html
      """)

  @OptionGroup var repository: RepositoryOptions
  @Option(
    help: ArgumentHelp(
      "Write to this file instead of standard output; an existing file is replaced.",
      valueName: "path"), completion: .file())
  var output: String?
  @Flag(help: "Print the data of the page as one JSON document.")
  var json = false

  func execute() async throws -> BackupTypes.ExitCode {
    guard json || output != nil || !Terminal.outputIsTerminal else {
      throw LifeboatError(
        .usage, "refusing to write an HTML page to a terminal",
        hint: "pass --output report.html, or redirect it: lifeboat report … >report.html")
    }
    let store = try Stores.interactive(repository.repo, repository.transport)
    let now = SystemClock.now()
    let chronicle = try await ChronicleReader.read(
      store, keys: repository.key.source(), now: now,
      progress: { Progress.show("reading", $0, of: $1, .record) })
    let bytes =
      json
      ? try Console.encoded(chronicle)
      : ReportPage(
        chronicle: chronicle,
        command: RestoreCommand(
          repository: RestoreCommand.url(repository.repo, store),
          isEncrypted: chronicle.cipher != "none"),
        now: now, version: Lifeboat.version
      ).bytes
    if let output {
      let path = FilePath(output)
      let folder = path.removingLastComponent()
      try DurableFile.replace(
        path.lastComponent?.string ?? "", in: OpenDirectory(folder.isEmpty ? "." : folder),
        bytes: bytes, mode: 0o644)
      Console.note("lifeboat: wrote \(printable(output)), \(humanBytes(bytes.count))")
    } else {
      Console.write(bytes)
    }
    return .success
  }
}
