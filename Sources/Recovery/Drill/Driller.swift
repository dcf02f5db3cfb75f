import BackupFormat
package import BackupTypes
import HistoryLogic
package import ObjectStorage
package import RepositoryAccess
import SystemIO
package import SystemPackage

/// Tests whether a server starts on the newest restore point: restores it into a scratch directory, starts
/// a real server there, compares its content, and measures the time.
package struct Driller: Sendable {
  package struct Options: Sendable {
    /// Nil: one of `folders`.
    package var server: FilePath?
    package var folders: [FilePath]
    /// Where the scratch directory is made.
    package var temporary: FilePath
    package var keys: KeySource
    package init(
      server: FilePath?, folders: [FilePath], temporary: FilePath, keys: KeySource = .none
    ) {
      self.server = server
      self.folders = folders
      self.temporary = temporary
      self.keys = keys
    }
  }

  private static let databasesMax = 1 << 16

  private let store: any ObjectStore
  private let options: Options
  private let now: @Sendable () -> Instant
  private let note: @Sendable (String) -> Void
  private let progress: @Sendable (UInt64, UInt64) -> Void

  package init(
    _ store: any ObjectStore, options: Options, now: @escaping @Sendable () -> Instant,
    note: @escaping @Sendable (String) -> Void,
    progress: @escaping @Sendable (UInt64, UInt64) -> Void
  ) {
    self.store = store
    self.options = options
    self.now = now
    self.note = note
    self.progress = progress
  }

  package func run() async throws -> DrillReport {
    let scratch = try ScratchDirectory(in: options.temporary, prefix: "lifeboat-drill-")
    try checkSocket(scratch)
    let data = scratch.path.appending("data")
    try OpenDirectory(scratch.path).makeDirectory("data", mode: 0o700)
    let search = ServerSearch(
      named: options.server, folders: options.folders, scratch: scratch.path)
    // A drill without a server is refused before anything is fetched.
    _ = try await search.find(for: nil)
    let started = now()
    let (plan, restored) = try await restore(into: data)
    let recorded = plan.dataset?.server.flatMap { ServerRelease(recorded: $0) }
    let (program, release) = try await search.find(for: recorded)
    let reading = try RestoredReading(plan, in: data, seed: randomNumber())
    var report = report(plan, reading, release, started: started, restored: restored)
    if let loss = plan.loss {
      report.warnings.append("log after this restore point is lost: \(loss.what)")
    }
    if let loss = plan.point.lostCopy {
      report.warnings.append(
        "what was backed up after this restore point can't be restored: \(loss.what)")
    }
    let server = try DrillServer(
      program, release, data: data, scratch: scratch.path, names: plan.names,
      appendOnly: plan.point.primary == .aof, databases: databases(plan, reading))
    defer { server.stop() }
    do {
      note("starting \(release) with the restored files")
      try await server.waitUntilLoaded()
      report.loadSeconds = Double(server.loadMilliseconds) / 1000
      report.recoverySeconds = Double(restored + server.loadMilliseconds) / 1000
      try compare(server, plan, reading, data, &report)
    } catch let refused as DrillServer.Refused {
      if let misfit = ServerAnswer.misfit(refused.reason) {
        throw LifeboatError(
          .versionMismatch, "\(release) can't check what was restored: \(misfit)",
          cause: refused.reason,
          hint:
            "this says nothing about the backup; name a server with the same modules, of the same line "
            + "or a newer one, with --server")
      }
      report.differences.append("the server did not load the restored files: \(refused.reason)")
    }
    server.stop()
    report.settle()
    try await record(&report, plan, load: server.loadMilliseconds, restored: restored, started)
    return report
  }

  // MARK: Restoring

  private func restore(into data: FilePath) async throws -> (RestorePlan, milliseconds: Int64) {
    let began = SystemClock.monotonicMilliseconds()
    // A restore would ask a person about a suspect state. A drill can test either state, and takes the newest
    // one by default. Both forms (dump and AOF) are restored, as for any server. The restore point decides
    // which one is tested.
    var restore = Restorer.Options(data: data, question: .newest(.newest), plan: .init())
    restore.keys = options.keys
    let restorer = Restorer(
      options: restore, store: store, now: now, note: note, progress: progress)
    guard case .restored(let plan, _) = try await restorer.run() else {
      throw LifeboatError(.failure, "the restore into \(data) restored nothing")
    }
    return (plan, SystemClock.monotonicMilliseconds() - began)
  }

  private func checkSocket(_ scratch: ScratchDirectory) throws {
    guard scratch.path.appending("s").string.utf8.count > UnixSocket.pathBytesMax else { return }
    throw LifeboatError(
      .usage, "the scratch directory's path is too long for a socket: \(scratch.path)",
      hint: "choose a shorter TMPDIR")
  }

  private func databases(_ plan: RestorePlan, _ reading: RestoredReading) -> Int {
    let numbers =
      (plan.dataset?.databases.map(\.number) ?? []) + reading.model.states.keys.map(\.database)
    // A record may name any number of databases, and each takes memory. With more than this, the server
    // refuses to load and says why.
    return max(16, min(numbers.max() ?? 0, Driller.databasesMax - 1) + 1)
  }

  private func randomNumber() -> UInt64 { littleEndian(secureRandomBytes(8)[...]) }

  // MARK: Comparing

  private func report(
    _ plan: RestorePlan, _ reading: RestoredReading, _ release: ServerRelease, started: Instant,
    restored: Int64
  ) -> DrillReport {
    let id =
      "d\(decimal(max(0, started.milliseconds), width: 13))-\(hexadecimal(secureRandomBytes(4)))"
    return DrillReport(
      id: id, repository: "", location: store.location, at: started.description, isPassed: false,
      point: plan.point.id, instant: plan.point.instant.description,
      primary: plan.point.primary.rawValue, recordedServer: plan.dataset?.server,
      server: release.description, bytes: plan.bytes, restoreSeconds: Double(restored) / 1000,
      loadSeconds: nil, recoverySeconds: nil, keys: nil, elements: nil,
      commands: reading.commands, compared: [], values: 0, differences: [], differencesLeftOut: 0,
      isRecorded: false, warnings: reading.obstacle.map { ["no value was compared: \($0)"] } ?? [])
  }

  private func compare(
    _ server: DrillServer, _ plan: RestorePlan, _ reading: RestoredReading, _ data: FilePath,
    _ report: inout DrillReport
  ) throws {
    let connection = try server.connect()
    // Values are read before SAVE, which overwrites the dump.
    if reading.obstacle == nil {
      var comparison = ValueComparison(connection)
      try comparison.run(reading.model, now: now())
      report.values = comparison.compared
      report.differences += comparison.differences
      report.compared.append("values")
    }
    guard let held = try saved(connection, plan, data) else {
      return try compareThroughServer(connection, plan, reading, &report)
    }
    report.keys = held.keys
    report.elements = held.elements
    guard let recorded = plan.dataset else { return }
    if reading.commands == 0 {
      report.compared.append("record")
      report.differences += DatasetComparison.differences(recorded: recorded, found: held)
        .map { "\($0) in the server" }
    } else if let copy = reading.dataset {
      report.compared.append("copy")
      report.differences += DatasetComparison.differences(recorded: recorded, found: copy)
        .map { "\($0) in the full copy" }
    }
  }

  /// Compares the server's own numbers, if this release can't read what the server saves.
  private func compareThroughServer(
    _ connection: RESPConnection, _ plan: RestorePlan, _ reading: RestoredReading,
    _ report: inout DrillReport
  ) throws {
    report.warnings.append(
      "this release can't read what \(report.server) saves: keys were counted by the server, elements were "
        + "not compared")
    let reply = try connection.command("INFO", "keyspace")
    guard let text = reply.bytes,
      let keyspace = ServerAnswer.keyspace(String(decoding: text, as: UTF8.self))
    else { throw DrillServer.Refused(reason: "it does not say how many keys it holds: \(reply)") }
    report.keys = keyspace.values.reduce(0) { $0 &+ $1.keys }
    guard let recorded = plan.dataset, reading.commands == 0 else { return }
    report.compared.append("keyspace")
    report.differences += ServerAnswer.differences(recorded: recorded, keyspace: keyspace)
      .map { "\($0) in the server" }
  }

  /// The server's content, counted in the same way as for the record: by reading the dump that the server
  /// saves. Nil if this release can't read that dump.
  private func saved(_ connection: RESPConnection, _ plan: RestorePlan, _ data: FilePath) throws
    -> DatasetRecord?
  {
    let space = try FileSystemSpace.at(data)
    guard space.freeBytes > plan.bytes else {
      throw LifeboatError(
        .noRoom,
        "\(data) has \(humanBytes(space.freeBytes)) free, too little for the server to save",
        hint: "set TMPDIR to a directory with room for twice the restored files")
    }
    let reply = try connection.command("SAVE")
    guard reply == .status("OK") else {
      throw DrillServer.Refused(reason: "it can't save its data: \(reply)")
    }
    let file = try OpenFile(reading: data.appending(plan.names.dump))
    var check = GenerationCheck(kind: .dump)
    try file.forEachChunk(from: 0, to: try file.status().size) {
      check.consume($0)
      return true
    }
    let (verdict, summary) = check.finish()
    if case .unverified = verdict { return nil }
    guard case .good = verdict, let saved = summary.flatMap({ DatasetRecord($0) }) else {
      throw DrillServer.Refused(reason: "the dump it saved is damaged: \(verdict)")
    }
    return saved
  }

  // MARK: Recording

  /// Stores the result in the repository if it may be written; otherwise this is reported.
  private func record(
    _ report: inout DrillReport, _ plan: RestorePlan, load: Int64, restored: Int64,
    _ started: Instant
  ) async throws {
    guard let repository = try await Repository.open(store, keys: options.keys) else { return }
    report.repository = repository.id.hexadecimal
    let drill = Drill(
      id: report.id, repository: repository.id, at: started, point: report.point,
      instant: plan.point.instant, isPassed: report.isPassed, restoreMilliseconds: restored,
      loadMilliseconds: load, bytes: plan.bytes, server: report.server, keys: report.keys,
      elements: report.elements, values: report.values,
      differences: Array(report.differences.prefix(20)))
    do {
      _ = try await repository.create(
        drill, .operation(.drills, id: report.id), kind: .operation)
      report.isRecorded = true
    } catch let error as LifeboatError {
      report.warnings.append(
        "the result can't be saved in the repository: \(error.inOneLine)")
    }
  }
}

extension DrillReport {
  /// Sets whether the drill has passed.
  fileprivate mutating func settle() {
    isPassed = differences.isEmpty
    differencesLeftOut = max(0, differences.count - DrillReport.differencesMax)
    differences = Array(differences.prefix(DrillReport.differencesMax))
  }
}
