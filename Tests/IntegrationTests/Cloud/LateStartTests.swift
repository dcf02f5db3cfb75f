import BackupTypes
import TestSupport
import Testing

/// An outage that begins before the start: the credentials or the store become available later. A command
/// that has work to do waits. One that has none sends no request.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct LateStartTests {
  enum Outage: CaseIterable, Sendable {
    /// The file with the credentials is mounted late.
    case noCredentials
    case noConnection
  }

  /// A repository that can't be used until `end()`.
  private struct Late {
    let outage: Outage
    let server: FaultS3Server
    let place: Place
    private let credentials: String

    init(_ outage: Outage, hasBackup: Bool = false) async throws {
      self.outage = outage
      server = try FaultS3Server()
      var place = try Place.on(server)
      if hasBackup {
        try Volume.writeDump(in: place.data)
        try await place.shipOnce()
      }
      credentials = place.folder("credentials")
      place.environment = CloudKeys.none.merging(["AWS_SHARED_CREDENTIALS_FILE": credentials]) {
        $1
      }
      self.place = place
      switch outage {
      case .noCredentials: break
      case .noConnection:
        try writeCredentials()
        server.change { $0.fault = { _ in .instead(.reset) } }
      }
    }

    func end() throws {
      switch outage {
      case .noCredentials: try writeCredentials()
      case .noConnection: server.change { $0.fault = { _ in nil } }
      }
    }

    private func writeCredentials() throws {
      let text =
        "[default]\naws_access_key_id = \(FaultS3Server.accessKey)\n"
        + "aws_secret_access_key = \(FaultS3Server.secretKey)\n"
      try TestFiles.write(text, to: credentials + ".new")
      try TestFiles.rename(credentials + ".new", to: credentials)
    }

    func restore(_ target: String) throws -> RunningCommand {
      try LifeboatCommand.start(
        [
          "restore", "--if-empty", "--if-backup-exists", "--retry-for", "120s", "--data", target,
          "--repo", place.repository, "--json",
        ], environment: place.environment)
    }
  }

  @Test(arguments: Outage.allCases)
  func `restore where data is: success, and nobody is asked`(outage: Outage) async throws {
    let late = try await Late(outage, hasBackup: true)
    let asked = late.server.server.requests.count
    let result = try await late.restore(late.place.data).wait()
    #expect(result.exitCode == 0 && result.jsonText("result") == "data-present", "\(result)")
    #expect(late.server.server.requests.count == asked)
  }

  @Test(arguments: Outage.allCases)
  func `restore where nothing is waits, and then restores`(outage: Outage) async throws {
    let late = try await Late(outage, hasBackup: true)
    let target = try late.place.folder.makeDirectory("target")
    let restore = try late.restore(target)
    try await waits(restore, "the store is unavailable; retrying")
    #expect(!TestFiles.exists(target + "/dump.rdb"))
    try late.end()
    let result = try await restore.wait()
    #expect(result.exitCode == 0 && result.jsonText("result") == "restored", "\(result)")
    #expect(
      try TestFiles.read(target + "/dump.rdb") == TestFiles.read(late.place.data + "/dump.rdb"))
  }

  @Test(arguments: Outage.allCases)
  func `restore of nothing waits, and only then says that there has never been a backup`(
    outage: Outage
  ) async throws {
    let late = try await Late(outage)
    let target = try late.place.folder.makeDirectory("target")
    let restore = try late.restore(target)
    try await waits(restore, "the store is unavailable; retrying")
    try late.end()
    let result = try await restore.wait()
    #expect(result.exitCode == 0 && result.jsonText("result") == "no-backup", "\(result)")
  }

  @Test(arguments: Outage.allCases)
  func `ship where data is stays up, tells it once, and catches up`(outage: Outage) async throws {
    let late = try await Late(outage)
    try Volume.writeDump(in: late.place.data)
    try await shipCatchesUp(late)
  }

  @Test(arguments: Outage.allCases)
  func `ship where nothing is asks nobody, until there is something`(outage: Outage) async throws {
    let late = try await Late(outage)
    let ship = try late.place.ship("--ship-interval", "200ms")
    try await waits(ship, " started")
    #expect(late.server.server.requests.isEmpty)
    try Volume.writeDump(in: late.place.data)
    try await shipCatchesUp(late, ship)
  }

  private func shipCatchesUp(_ late: Late, _ running: RunningCommand? = nil) async throws {
    let ship = try running ?? late.place.ship("--ship-interval", "200ms")
    try await waits(ship, "the store is unavailable")
    #expect(late.server.names.isEmpty)
    try late.end()
    try await eventually(
      deadline: 120, "it catches up", condition: { await late.place.newest() != nil },
      state: { ship.errorText })
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    #expect(end.count("the store is unavailable") == 1, "\(end)")
    #expect(end.count("the store is available again") == 1, "\(end)")
    try await late.place.restore(into: "restored")
  }

  private func waits(_ command: RunningCommand, _ words: String) async throws {
    try await eventually(
      deadline: 60, "it says \"\(words)\"",
      condition: {
        if let end = command.end { throw HarnessError("it ended (\(end)): \(command.errorText)") }
        return command.errorText.contains(words)
      }, state: { command.errorText })
  }
}

extension CommandResult {
  /// The number of lines on standard error with these words.
  func count(_ words: String) -> Int {
    errorText.split(separator: "\n").count { $0.contains(words) }
  }
}
