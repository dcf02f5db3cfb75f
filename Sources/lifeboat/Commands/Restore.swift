import ArgumentParser
import BackupFormat
import BackupTypes
import HistoryLogic
import Recovery
import RepositoryAccess
import SystemIO
import SystemPackage

struct Restore: RepositoryCommand {
  static let configuration = CommandConfiguration(
    abstract: "Fill a data directory from a repository.",
    discussion: """
      All or nothing: the result is a complete, verified directory, or the directory is unchanged. In \
      an init container, use: restore --if-empty --if-backup-exists.

      Examples:
        # The newest restore point, into an empty directory
        lifeboat restore --data /var/lib/redis --repo s3://backups/redis
        # In an init container
        lifeboat restore --data /data --repo s3://backups/redis \\
          --if-empty --if-backup-exists
        # Show what a restore of 15 minutes ago would do
        lifeboat restore --data /data --repo /backups/redis --at -15m --dry-run
        # Undo a FLUSHALL; the existing files are moved aside
        lifeboat restore --data /data --repo /backups/redis \\
          --before FLUSHALL --replace
      """)

  @Option(
    help: ArgumentHelp("The data directory to fill.", valueName: "path"), completion: .directory)
  var data: String
  @OptionGroup var repository: RepositoryOptions
  @OptionGroup var nameOptions: NameOptions

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The last restore point at or before this time: RFC 3339 with a zone, -15m, or unix seconds.",
      valueName: "time"))
  var at: String?
  @Option(
    help: ArgumentHelp(
      "A restore point by its id, or by the name of a pin (see list).", valueName: "id"))
  var point: String?
  @Option(
    help: ArgumentHelp(
      "The state just before the last command of this name, for example FLUSHALL.",
      discussion: "Reads the log. inspect shows the commands that removed data.",
      valueName: "command"))
  var before: String?
  @Option(
    help: ArgumentHelp("A timeline; it may be an abandoned branch (see list).", valueName: "number")
  )
  var timeline: Int?
  @Option(
    help: ArgumentHelp(
      "With --timeline: restore a log whose BASE was never uploaded; \"empty\": Redis started with no keys.",
      discussion: "Correct only if Redis started on an empty directory when that log began.",
      valueName: "empty"))
  var base: String?
  @Option(
    help: ArgumentHelp(
      "Perform this restore once; existing files are moved aside.",
      discussion: """
        One value, for a manifest in git: an id of your choice and the state, `ID at=TIME`, `ID point=POINT`, \
        `ID before=COMMAND` or `ID newest`. An id that was performed does nothing, on this volume and on any \
        other with the same repository; the other flags then apply as usual. Empty: none.
        """, valueName: "request"))
  var restoreRequest: String?
  @Flag(help: "If the directory already holds data, do nothing and exit 0.")
  var ifEmpty = false
  @Flag(help: "If it is certain that there never was a backup, do nothing and exit 0.")
  var ifBackupExists = false
  @Option(
    name: .customLong("repository-id"),
    help: ArgumentHelp("Restore from this repository only; fail if it is missing.", valueName: "id")
  )
  var repositoryID: RepositoryID?
  @Option(help: "Which state to restore if the newest may be the result of an accident.")
  var suspect: Question.Suspect?
  @Flag(help: "Move existing files aside.")
  var replace = false
  @Option(
    help: ArgumentHelp("How long to retry while the store is unavailable.", valueName: "time"))
  var retryFor = Milliseconds(300_000)
  @Flag(help: "Print the plan; change nothing.")
  var dryRun = false
  @Option(
    help: ArgumentHelp(
      "The server's `appendonly` setting, yes or no. Default: the result works with both.",
      valueName: "yes-or-no"))
  var appendonly: String?
  @Option(
    help: ArgumentHelp(
      "The server that will load it, for example redis-7.4 or valkey-9.1: refuse what it can't load.",
      discussion:
        "Checks only the magic and version of the full copies, not modules and commands.",
      valueName: "version"))
  var serverVersion: String?
  @Flag(
    name: .customLong("legacy-aof"),
    help: "Restore a single AOF file, for Redis 6 and older.")
  var legacyAOF = false
  @Option(
    help: ArgumentHelp(
      "Owner of the files, uid:gid. Default: the user that runs restore; for root, the directory's owner.",
      valueName: "uid:gid"))
  var owner: String?
  @Flag(help: "Print one JSON document.")
  var json = false

  var movesMuch: Bool { true }

  func execute() async throws -> BackupTypes.ExitCode {
    var options = try options()
    let store = try Stores.patient(
      repository.repo, repository.transport, retryFor: retryFor.value)
    options.url = RestoreCommand.url(repository.repo, store)
    let restorer = Restorer(
      options: options, store: store,
      now: { SystemClock.now() }, note: { Console.note("lifeboat: \($0)") },
      progress: { Progress.show("restoring", $0, of: $1) })
    let document = RestoreDocument(try await restorer.report(), data: data)
    if json { try Console.json(document) } else { Console.write(document.text) }
    return .success
  }

  private func question(_ now: Instant) throws -> Question {
    let number = try timeline.map { timeline in
      guard let number = TimelineNumber(timeline) else {
        throw LifeboatError(.usage, "--timeline \(timeline) is not a timeline number")
      }
      return number
    }
    if let base {
      guard base == "empty" else {
        throw LifeboatError(.usage, "--base must be empty, not \(printable(base))")
      }
      guard let number, at == nil, point == nil, before == nil else {
        throw LifeboatError(
          .usage, "--base empty needs --timeline, and excludes --at, --before and --point",
          hint: "`lifeboat list` shows which timeline has a log without its BASE")
      }
      return .unfinished(number)
    }
    if let point {
      guard at == nil, number == nil, before == nil else {
        throw LifeboatError(
          .usage, "--point can't be combined with --at, --before or --timeline")
      }
      return .point(point)
    }
    if let before {
      guard at == nil else {
        throw LifeboatError(.usage, "--at and --before can't be combined")
      }
      return .before(try Restore.command(before), in: number)
    }
    if let at { return .at(try Restore.time(at, now: now), in: number) }
    if let number { return .timeline(number) }
    return .newest(suspect)
  }

  private func options() throws -> Restorer.Options {
    let now = SystemClock.now()
    let question = try question(now)
    let (names, configured) = try nameOptions.resolve()
    var plan = RestorePlan.Options()
    plan.usesLegacyForm = legacyAOF
    plan.appendOnly = configured ?? .unknown
    if let appendonly {
      guard let value = AppendOnly(rawValue: appendonly), value != .unknown else {
        throw LifeboatError(.usage, "--appendonly must be yes or no, not \(printable(appendonly))")
      }
      plan.appendOnly = value
    }
    var options = Restorer.Options(data: FilePath(data), question: question, plan: plan)
    options.names = names
    options.isIfEmpty = ifEmpty
    options.isIfBackupExists = ifBackupExists
    options.replaces = replace
    options.isDryRun = dryRun
    options.keys = repository.key.source()
    options.request = try restoreRequest.flatMap {
      try StandingRequest(parsing: $0, command: Restore.command)
    }
    if options.request != nil {
      guard at == nil, point == nil, before == nil, timeline == nil, base == nil else {
        throw LifeboatError(
          .usage, "--restore-request can't be combined with another choice of a state",
          cause: "that state would also be restored into each volume that is lost later",
          hint: "give --at, --point, --before, --timeline and --base without --restore-request")
      }
    }
    options.owner = try owner.map { try Restore.owner($0) }
    if let serverVersion {
      guard let server = ServerRelease(said: serverVersion) else {
        throw LifeboatError(
          .usage, "--server-version is not the version of a server: \(printable(serverVersion))",
          hint:
            "for example redis-7.4 or valkey-9.1; 7.2, 8.0, 8.1 and 9.0 on need the name, since Redis and "
            + "Valkey differ")
      }
      options.server = server
    }
    options.repositoryID = repositoryID?.value
    return options
  }

  static func time(_ text: String, now: Instant) throws -> Instant {
    do {
      return try Instant(parsing: text, now: now)
    } catch {
      throw LifeboatError(
        .usage, "\(printable(text)) is not a time",
        cause: error.problem == .noZone ? "it has no zone" : nil,
        hint:
          "examples: 2026-11-22T14:02:00Z, 2026-11-22T15:02:00+01:00, -15m, or unix seconds or milliseconds"
      )
    }
  }

  /// `FLUSHALL`, or two words: `FUNCTION FLUSH`.
  static func command(_ text: String) throws -> String {
    let words = text.split(separator: " ")
    guard (1...2).contains(words.count),
      words.allSatisfy({ $0.utf8.count <= 64 && $0.utf8.allSatisfy { (0x21...0x7e).contains($0) } })
    else {
      throw LifeboatError(
        .usage, "--before must be the name of a command, not \(printable(text))",
        hint: "for example --before FLUSHALL")
    }
    return words.joined(separator: " ").uppercased()
  }

  private static func owner(_ text: String) throws -> (user: UInt32, group: UInt32) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let user = UInt32(parts[0]), let group = UInt32(parts[1]) else {
      throw LifeboatError(.usage, "--owner must be two numbers, uid:gid, not \(printable(text))")
    }
    return (user, group)
  }
}
