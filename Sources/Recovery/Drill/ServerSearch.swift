import BackupTypes
import HistoryLogic
import RepositoryAccess
import SystemIO
import SystemPackage

/// Finds a server that can load the backup: the named one, otherwise one on PATH.
struct ServerSearch {
  private static let names = ["redis-server", "valkey-server"]
  private static let versionTimeMax: Int64 = 10_000

  let named: FilePath?
  /// The folders of PATH, in order.
  let folders: [FilePath]
  let scratch: FilePath

  /// - Parameter recorded: the server that wrote the full copy, according to the copy. Nil if unknown.
  func find(for recorded: ServerRelease?) async throws -> (FilePath, ServerRelease) {
    let candidates =
      named.map { [$0] }
      ?? folders.flatMap { folder in ServerSearch.names.map { folder.appending($0) } }
      .filter { (try? FileStatus.at($0)) ?? nil != nil }
    guard !candidates.isEmpty else {
      throw LifeboatError(
        .failure, "no redis-server or valkey-server is on PATH",
        hint: "a drill needs a server: name one with --server")
    }
    var unfit: [String] = []
    for path in candidates {
      let release = try await release(of: path)
      if recorded.map({ release.canLoad($0) }) ?? true { return (path, release) }
      unfit.append("\(release) at \(path)")
    }
    throw LifeboatError(
      .versionMismatch, "no installed server can load data of \(recorded!)",
      cause: "found \(unfit.joined(separator: ", "))",
      hint: "name a server of the same or a newer version with --server")
  }

  private func release(of path: FilePath) async throws -> ServerRelease {
    let file = scratch.appending("version-\(hexadecimal(secureRandomBytes(4)))")
    let output = try OpenFile(creating: file, mode: 0o600)
    let process = try SupervisedProcess(
      path, ["--version"], environment: DrillServer.environment, directory: scratch,
      output: output)
    let deadline = SystemClock.monotonicMilliseconds() + ServerSearch.versionTimeMax
    while process.end == nil, SystemClock.monotonicMilliseconds() < deadline {
      try await Task.sleep(for: .milliseconds(5))
    }
    process.kill()
    let text = String(
      decoding: try output.bytes(from: 0, to: min(output.status().size, 4096)), as: UTF8.self)
    guard let release = ServerRelease(versionLine: text) else {
      throw LifeboatError(
        .versionMismatch, "\(printable(path.string)) is not a Redis or Valkey server",
        cause: "--version says \"\(printable(text, limit: 80))\"",
        hint: "name one with --server")
    }
    return release
  }
}
