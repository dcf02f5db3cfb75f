import ArgumentParser
import BackupTypes
import Recovery
import RepositoryAccess
import SystemIO
import SystemPackage

struct Verify: RepositoryCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check every object of a repository, or test a restore with a real server.",
    discussion: """
      Reads every object and checks digests, references, the continuity of every log and the structure \
      of every file. Damaged objects are listed (exit 5). If verify may write to the repository, it \
      quarantines a damaged full copy: restore avoids it, and ship uploads it again.
      With --drill, it restores the newest point into a scratch directory below TMPDIR, starts a server \
      there, compares the data, and measures how long recovery takes.

      Examples:
        # All records, and a tenth of the other objects
        lifeboat verify --repo s3://backups/redis --sample 10%
        # Restore, and load the result with a server
        lifeboat verify --repo s3://backups/redis --drill \\
          --server /usr/bin/redis-server
      """)

  @OptionGroup var repository: RepositoryOptions
  @Option(
    help: ArgumentHelp(
      "Read all records, and this percentage of the other objects, chosen at random.",
      discussion: "With --drill: verify this much first.", valueName: "percent"))
  var sample: Percent?
  @Flag(help: "Restore the newest point into a scratch directory and test it with a server.")
  var drill = false
  @Option(
    help: ArgumentHelp(
      "The server for --drill. Default: a redis-server or valkey-server on PATH.", valueName: "path"
    ), completion: .file())
  var server: String?
  @Option(
    help: ArgumentHelp("Also write the JSON document to this file.", valueName: "path"),
    completion: .file())
  var report: String?
  @Flag(help: "Print one JSON document.")
  var json = false

  var movesMuch: Bool { drill }

  /// One or both.
  private struct Document: Encodable {
    var verify: VerifyReport?
    var drill: DrillReport?
  }

  func execute() async throws -> BackupTypes.ExitCode {
    guard drill || server == nil else {
      throw LifeboatError(.usage, "--server needs --drill")
    }
    let store = try Stores.interactive(repository.repo, repository.transport)
    let keys = repository.key.source()
    var document = Document()
    if !drill || sample != nil {
      document.verify = try await Verifier(
        store, options: .init(sample: sample?.value, by: "lifeboat verify", keys: keys),
        now: { SystemClock.now() }, draw: { Double.random(in: 0..<100) },
        progress: { Progress.show("verifying", $0, of: $1) }
      ).run()
    }
    if drill {
      document.drill = try await Driller(
        store, options: drillOptions(keys), now: { SystemClock.now() },
        note: { Console.note("lifeboat: \($0)") },
        progress: { Progress.show("restoring", $0, of: $1) }
      ).run()
    }
    if let report {
      let path = FilePath(report)
      let folder = path.removingLastComponent()
      try DurableFile.replace(
        path.lastComponent?.string ?? "", in: OpenDirectory(folder.isEmpty ? "." : folder),
        bytes: Console.encoded(document), mode: 0o644)
    }
    if json {
      try Console.json(document)
    } else {
      Console.write((document.verify?.text ?? "") + (document.drill?.text ?? ""))
    }
    let isSound = (document.verify?.isSound ?? true) && (document.drill?.isPassed ?? true)
    return isSound ? .success : .corrupt
  }

  private func drillOptions(_ keys: KeySource) -> Driller.Options {
    let environment = EnvironmentFlags.processEnvironment()
    return Driller.Options(
      server: server.map { FilePath($0) },
      folders: (environment["PATH"] ?? "").split(separator: ":").map { FilePath(String($0)) },
      temporary: FilePath(environment["TMPDIR"] ?? "/tmp"), keys: keys)
  }
}

/// A percentage on the command line: `5`, `2.5%`, `100`.
struct Percent: ExpressibleByArgument, Sendable {
  var value: Double
  init?(argument: String) {
    let digits = argument.hasSuffix("%") ? String(argument.dropLast()) : argument
    guard let value = Double(digits), value > 0, value <= 100 else { return nil }
    self.value = value
  }
}
