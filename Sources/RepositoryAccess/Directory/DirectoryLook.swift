import BackupFormat
package import BackupTypes
package import HistoryLogic
import RedisFormats
import SystemIO
package import SystemPackage

/// Gathers the facts that decide whether a data directory holds data. Reads the manifest, and each file
/// only up to its first key, function or command.
package struct DirectoryLook: Sendable {
  package let path: FilePath
  package let names: ServerNames

  package init(_ path: FilePath, names: ServerNames) {
    self.path = path
    self.names = names
  }

  /// How often it looks again if the manifest changes during a look: after a rewrite, a server deletes the
  /// files that the old manifest names.
  private static let attemptsMax = 20

  package func facts() throws -> DataFacts {
    for _ in 1..<DirectoryLook.attemptsMax {
      let before = try manifest()
      let facts = try lookOnce()
      if try manifest() == before { return facts }
    }
    return try lookOnce()
  }

  private func manifest() throws -> [UInt8]? {
    try OpenDirectory(path, followsLinks: true).openDirectory(names.appendDirectory)?
      .open(names.manifest)?.readAll(limit: 4 << 20)
  }

  private func lookOnce() throws -> DataFacts {
    let directory = try OpenDirectory(path, followsLinks: true)
    var facts = DataFacts()
    facts.dump = try content(of: names.dump, in: directory, as: .dump)
    facts.legacy = try content(of: names.appendFile, in: directory, as: .legacy)
    guard let appendDirectory = try directory.openDirectory(names.appendDirectory) else {
      return facts
    }
    guard let manifestFile = try appendDirectory.open(names.manifest) else {
      for entry in try appendDirectory.entries()
      where (entry.kind == .regular || entry.kind == .symlink) && !entry.name.hasPrefix("temp-") {
        facts.files[entry.name] = try content(of: entry.name, in: appendDirectory, as: .stray)
      }
      return facts
    }
    let bytes = try manifestFile.readAll(limit: 4 << 20)
    let isMoved = try appendDirectory.status(of: names.appendFile) != nil
    do throws(AOFManifestFault) {
      let manifest = try AOFManifest(parsing: bytes)
      if manifest.awaits(names.appendFile), facts.legacy != .absent, !isMoved {
        // An upgrade from Redis 6 was interrupted. A server moves the file at its next start.
        return facts
      }
      facts.manifest = .valid(manifest)
      for entry in manifest.entries where entry.kind != .history {
        facts.files[entry.file] = content(of: entry, in: appendDirectory)
      }
    } catch {
      facts.manifest = .broken(
        error.isEmpty ? "it is empty" : "line \(error.line): \(error.reason)")
    }
    return facts
  }

  private enum Role { case dump, legacy, stray, base, increment }

  private func content(of entry: AOFManifest.Entry, in directory: OpenDirectory)
    -> DataFacts.Content
  {
    do {
      return try content(
        of: entry.file, in: directory, as: entry.kind == .base ? .base : .increment)
    } catch {
      return .broken((error as? LifeboatError)?.description ?? "\(error)")
    }
  }

  private func content(of name: String, in directory: OpenDirectory, as role: Role) throws
    -> DataFacts.Content
  {
    guard let file = try directory.open(name) else { return .absent }
    let size = try file.status().size
    guard size > 0 else {
      return role == .dump ? .broken("it has no bytes") : .empty
    }
    switch role {
    case .dump: return try copyContent(file, size, .dump)
    case .legacy, .stray, .base: return try copyContent(file, size, .base)
    case .increment: return try logContent(file, size)
    }
  }

  private func copyContent(_ file: OpenFile, _ size: UInt64, _ kind: GenerationIndex.Kind) throws
    -> DataFacts.Content
  {
    var check = GenerationCheck(kind: kind)
    var early: GenerationCheck.EarlyVerdict?
    try file.forEachChunk(from: 0, to: size) { chunk in
      check.consume(chunk)
      early = check.early
      return early == nil
    }
    switch early {
    case .content: return .data
    case .unknown(let reason): return .unknown(reason)
    case .broken(let reason): return .broken(reason)
    // A torn tail of commands is not broken: servers truncate it.
    case nil where check.commandsStart != nil: return .empty
    case nil:
      guard case .broken(let reason) = check.finish().verdict else { return .empty }
      return .broken(reason)
    }
  }

  /// A torn tail is not broken: servers truncate it.
  private func logContent(_ file: OpenFile, _ size: UInt64) throws -> DataFacts.Content {
    var scanner = AOFScanner()
    try file.forEachChunk(from: 0, to: size) { chunk in
      scanner.consume(chunk)
      return scanner.fault == nil && !scanner.hasContent
    }
    if scanner.hasContent { return .data }
    if let unknown = scanner.unknown { return .unknown(unknown.reason) }
    if let fault = scanner.fault { return .broken("\(fault.reason) at offset \(fault.offset)") }
    if case .walking? = scanner.preambleState { return .broken("the RDB in it is truncated") }
    return .empty
  }
}
