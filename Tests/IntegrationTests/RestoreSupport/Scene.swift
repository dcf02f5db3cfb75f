import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// A volume, its repository, and what a restore of it gives.
struct Scene {
  let folder: TemporaryDirectory
  let data: String
  let repository: String

  init() throws {
    folder = try TemporaryDirectory("scene")
    data = try folder.makeDirectory("data")
    repository = try folder.makeDirectory("repository")
  }

  func server(
    _ version: ServerVersion, on directory: String? = nil, _ options: [String: String] = [:]
  ) async throws -> RedisServer {
    // With `always`, everything that was answered is in the file. With `everysec`, a write may be up to two
    // seconds late.
    try await RedisServer.start(
      version, directory: directory ?? data,
      options: ["appendfsync": "always"].merging(options) { $1 })
  }

  /// Runs `ship --once` on a directory, by default `self.data`.
  func shipOnce(_ directory: String? = nil, _ arguments: String...) async throws -> CommandResult {
    try await LifeboatCommand.run(
      ["ship", "--once", "--data", directory ?? data, "--repo", repository, "--source", "test"]
        + arguments)
  }

  /// The same, but it has to succeed.
  func ship(_ directory: String? = nil, _ arguments: String...) async throws {
    let result = try await LifeboatCommand.run(
      ["ship", "--once", "--data", directory ?? data, "--repo", repository, "--source", "test"]
        + arguments)
    try #require(result.exitCode == 0, "\(result)")
  }

  /// Restores into a directory. Returns the result, also of a failure.
  func restore(_ target: String, _ arguments: [String] = []) async throws -> CommandResult {
    try await LifeboatCommand.run(
      ["restore", "--data", target, "--repo", repository, "--retry-for", "0s"] + arguments)
  }

  /// Restores into a new directory and returns its path. The restore has to succeed.
  func restored(_ name: String, _ arguments: String...) async throws -> String {
    let target = try folder.makeDirectory(name)
    let result = try await restore(target, arguments)
    try #require(result.exitCode == 0, "\(result)")
    return target
  }

  /// What a server loads from a copy of the directory. The directory is not changed, so this can be called
  /// again.
  func loaded(
    _ version: ServerVersion, _ directory: String, appendOnly: String = "yes"
  ) async throws -> Dataset {
    let copy = try folder.makeDirectory("loads-\(UInt32.random(in: 0 ... .max))")
    defer { TestFiles.remove(copy) }
    try TestFiles.copyTree(directory, to: copy)
    let server = try await RedisServer.start(
      version, directory: copy, options: ["appendonly": appendOnly, "aof-load-truncated": "no"])
    defer { server.kill() }
    return try await server.dataset()
  }

  func list() async throws -> CommandResult {
    try await LifeboatCommand.run(["list", "--repo", repository])
  }

  /// The value of a text field of a JSON document that a command printed; nil if there is no such field.
  static func field(_ name: String, of json: String) -> String? {
    guard let start = json.firstRange(of: "\"\(name)\" : \"") else { return nil }
    return String(json[start.upperBound...].prefix { $0 != "\"" })
  }

  /// The pins that `list` shows: each id with the point that it keeps.
  func pins() async throws -> [(id: String, point: String)] {
    try await RepositoryListing.make(
      DirectoryStore(root: FilePath(repository)), now: SystemClock.now()
    ).pins.map { ($0.id, $0.point) }
  }
}

extension String {
  fileprivate func firstRange(of other: String) -> Range<String.Index>? {
    indices.lazy.first { self[$0...].hasPrefix(other) }.map {
      $0..<self.index($0, offsetBy: other.count)
    }
  }
  func has(_ other: String) -> Bool { firstRange(of: other) != nil }
}

extension RedisServer {
  /// SET `<prefix><n>` for n in `range`, with a payload that does not compress well.
  func fill(_ prefix: String, _ range: ClosedRange<Int>, bytes: Int = 20) throws {
    var random = SystemRandomNumberGenerator()
    let commands: [[any RESPArgument]] = range.map { n in
      let payload = (0..<bytes).map { _ in UInt8.random(in: 0...255, using: &random) }
      return ["SET", "\(prefix)\(n)", payload]
    }
    for reply in try connect().pipeline(commands) where reply != .simple("OK") {
      throw HarnessError("SET was answered with \(reply)")
    }
  }
}
