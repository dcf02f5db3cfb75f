import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// A volume, a repository, and what happens between them.
struct Place {
  let folder: TemporaryDirectory
  let data: String
  /// The value of `--repo`: a directory of this place, or the URL of a store.
  let repository: String
  /// Variables for every command of this place, for example a store's credentials.
  var environment: [String: String] = [:]

  init() throws {
    folder = try TemporaryDirectory("place")
    data = try folder.makeDirectory("data")
    repository = try folder.makeDirectory("repository")
  }

  /// A place with its repository in a store that is not a directory.
  init(repository: String, environment: [String: String]) throws {
    folder = try TemporaryDirectory("place")
    data = try folder.makeDirectory("data")
    self.repository = repository
    self.environment = environment
  }

  /// A place with a key, so its repository is encrypted.
  static func encrypted() throws -> Place {
    var place = try Place()
    place.environment[KeySource.variable] = newKey()
    return place
  }

  static func newKey() -> String { EncryptionKey(bytes: secureRandomBytes(32)).reveal() }

  /// Runs a command on this place's repository until it exits.
  func run(_ command: String, _ arguments: [String]) async throws -> CommandResult {
    try await LifeboatCommand.run(
      [command, "--repo", repository] + arguments, environment: environment)
  }

  /// Starts a shipper of this volume, as a user does.
  func ship(_ arguments: String...) throws -> RunningCommand {
    try LifeboatCommand.start(
      ["ship", "--data", data, "--repo", repository] + arguments, environment: environment)
  }

  /// The same in a pod of its own.
  func ship(pod: String, _ arguments: [String], data: String? = nil) throws -> RunningCommand {
    try LifeboatCommand.start(
      ["ship", "--data", data ?? self.data, "--repo", repository] + arguments,
      environment: environment.merging(["POD_UID": pod]) { $1 })
  }

  /// How many objects of the repository have a matching name.
  func objects(_ matches: (String) -> Bool) -> Int {
    TestFiles.tree(repository).count(where: matches)
  }

  /// Runs `ship --once`.
  @discardableResult
  func shipOnce(_ arguments: String...) async throws -> CommandResult {
    let result = try await run("ship", ["--once", "--data", data] + arguments)
    #expect(result.exitCode == 0, "\(result)")
    return result
  }

  /// Restores into a new directory of that name and returns its path.
  @discardableResult
  func restore(into name: String, _ arguments: String...) async throws -> String {
    let target = try folder.makeDirectory(name)
    let result = try await run("restore", ["--data", target] + arguments)
    #expect(result.exitCode == 0, "\(result)")
    return target
  }

  func copy(_ directory: String, as name: String) throws -> String {
    let target = folder(name)
    try TestFiles.copyTree(directory, to: target)
    return target
  }

  /// Restores, starts a server on the result, checks the load's invariants and returns its last step.
  func restoredStep(
    _ test: CrashTests.Case, _ load: TransactionalLoad, into name: String, _ arguments: String...
  ) async throws -> Int {
    // Waits, because a new repository may not have a point yet.
    let target = try folder.makeDirectory(name)
    var failures: [String] = []
    try await eventually(
      deadline: 120, "a restore point",
      condition: {
        let result = try await run("restore", ["--data", target] + arguments)
        if result.exitCode != 0, failures.last != "\(result)" { failures.append("\(result)") }
        return result.exitCode == 0
      }, state: { failures.prefix(3).joined() })
    return try await loadedStep(test, load, from: target, isTornTailForgiven: false)
  }

  /// Starts a server on a directory and returns the last step of the load that it holds.
  func loadedStep(
    _ test: CrashTests.Case, _ load: TransactionalLoad, from directory: String,
    isTornTailForgiven: Bool = true
  ) async throws -> Int {
    // After a restore, a torn tail is not allowed, because a restore ends where a loader may stop.
    let server = try await RedisServer.start(
      test.version, directory: directory,
      options: [
        "appendonly": test.appendOnly ? "yes" : "no",
        "aof-load-truncated": isTornTailForgiven ? "yes" : "no",
      ])
    defer { _ = server.kill() }
    let check = try await load.check(server)
    #expect(check.isConsistent, "\(check)")
    return check.lastStep
  }

  var store: DirectoryStore { DirectoryStore(root: FilePath(repository)) }

  /// The newest restore point; nil if there is none or no repository yet.
  func newest() async -> String? {
    guard repositoryScheme(repository) != nil else { return try? await listing().newest }
    // For other stores, run `list` as a user does.
    guard let result = try? await run("list", ["--json"]), result.exitCode == 0 else { return nil }
    return result.jsonText("newest")
  }

  /// Every snapshot of the repository, in order.
  func snapshots() async throws -> [Snapshot] {
    let keys = KeySource(file: nil, value: environment[KeySource.variable])
    let repository = try #require(try await Repository.open(store, keys: keys))
    let history = try await repository.history()
    let reader = HistoryReader(repository: repository, history: history)
    var snapshots: [Snapshot] = []
    for number in history.claims.keys.sorted() {
      snapshots += try await reader.readableSnapshots(of: number).read
        .sorted { $0.key < $1.key }.map(\.value)
    }
    return snapshots
  }

  /// What `list` shows, read in this process.
  func listing() async throws -> RepositoryListing {
    try await RepositoryListing.make(
      store, keys: KeySource(file: nil, value: environment[KeySource.variable]),
      now: SystemClock.now())
  }

  /// Waits until a restore gives `step` or a later one.
  func restoresStep(
    _ step: Int, _ test: CrashTests.Case, _ load: TransactionalLoad, into name: String
  ) async throws {
    var (attempt, found) = (0, 0)
    try await eventually(
      deadline: 60, "step \(step) is restorable",
      condition: {
        attempt += 1
        found = try await restoredStep(test, load, into: "\(name)-\(attempt)")
        return found >= step
      }, state: { "a restore gives step \(found)" })
  }

  var timelines: Int { objects { $0.hasSuffix("/claim") } }

  func bytesOfAOF() throws -> Int {
    try TestFiles.tree(data).filter { $0.contains(".incr.aof") || $0.hasSuffix("appendonly.aof") }
      .reduce(0) { $0 + (try TestFiles.size(data + "/" + $1)) }
  }

  /// The uncompressed bytes of all log objects, according to their names.
  func bytesOfLog() -> Int {
    TestFiles.tree(repository).filter { $0.contains("/log/") }.reduce(0) { sum, path in
      let parts = path.split(separator: "/").last?.split(separator: "-") ?? []
      guard parts.count == 4, let from = Int(parts[0]), let to = Int(parts[1]) else { return sum }
      return sum + to - from
    }
  }
}

extension CommandResult {
  /// The text of the first field with this name in the printed JSON document, at any depth.
  func jsonText(_ field: String) -> String? {
    guard let start = outputText.firstRange(of: "\"\(field)\" : \"") else { return nil }
    return String(outputText[start.upperBound...].prefix { $0 != "\"" })
  }
}
