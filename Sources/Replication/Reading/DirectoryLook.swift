package import BackupLogic
package import BackupTypes
import RedisFormats
import SystemIO
package import SystemPackage

/// Gathers the facts about a data directory that decide whether it holds data. Reads the
/// manifest, and each file up to its first key, function or command, and no further.
package struct DirectoryLook: Sendable {
  package let path: FilePath
  package let names: ServerNames

  package init(_ path: FilePath, names: ServerNames) {
    self.path = path
    self.names = names
  }

  package func facts() throws -> DataFacts {
    let directory = try OpenDirectory(path)
    var facts = DataFacts()
    facts.dump = try content(of: names.dump, in: directory, as: .dump)
    facts.legacy = try content(of: names.appendFile, in: directory, as: .legacy)
    guard let appendDirectory = try directory.openDirectory(names.appendDirectory) else {
      return facts
    }
    guard let manifestFile = try appendDirectory.open(names.manifest) else {
      for entry in try appendDirectory.entries()
      where entry.kind == .regular && !entry.name.hasPrefix("temp-") {
        facts.files[entry.name] = try content(of: entry.name, in: appendDirectory, as: .stray)
      }
      return facts
    }
    let bytes = try manifestFile.readAll(limit: 4 << 20)
    do throws(AOFManifestFault) {
      let manifest = try AOFManifest(parsing: bytes)
      facts.manifest = .valid(manifest)
      for (position, entry) in manifest.entries.enumerated() where entry.kind != .history {
        let isLast = position == manifest.entries.count - 1
        facts.files[entry.file] = content(
          of: entry.file, in: appendDirectory, isLast: isLast)
      }
    } catch {
      facts.manifest = .broken(
        error.isEmpty ? "it is empty" : "line \(error.line): \(error.reason)")
    }
    return facts
  }

  private enum Role { case dump, legacy, stray, base, lastIncrement }

  private func content(of name: String, in directory: OpenDirectory, isLast: Bool)
    -> DataFacts.Content
  {
    do {
      return try content(of: name, in: directory, as: isLast ? .lastIncrement : .base)
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
    let magic = try file.bytes(from: 0, to: min(size, 6))
    let isRDB = magic.starts(with: "REDIS".utf8) || magic.starts(with: "VALKEY".utf8)
    if role == .dump || isRDB { return try rdbContent(file, size: size, isDump: role == .dump) }
    return try logContent(file, from: 0, size: size)
  }

  private func rdbContent(_ file: OpenFile, size: UInt64, isDump: Bool) throws -> DataFacts.Content
  {
    var walker = RDBWalker()
    var position: UInt64 = 0
    var rest: UInt64?
    try file.forEachChunk(from: 0, to: size) { chunk in
      let used = walker.consume(chunk)
      position += UInt64(used)
      if case .ended = walker.state, used < chunk.count { rest = position }
      if case .walking = walker.state { return !walker.hasContent }
      return false
    }
    if walker.hasContent { return .data }
    switch walker.finish() {
    case .ended(let end):
      guard !isDump, end < size else { return .empty }
      return try logContent(file, from: rest ?? end, size: size)
    case .unknown: return .data  // a server newer than we know may well load it
    case .malformed(let fault): return .broken("\(fault.reason) at offset \(fault.offset)")
    case .walking: return .broken("it is truncated")
    }
  }

  /// A torn tail is not broken: servers cut it off.
  private func logContent(_ file: OpenFile, from: UInt64, size: UInt64) throws -> DataFacts.Content
  {
    var scanner = AOFScanner(at: from)
    try file.forEachChunk(from: from, to: size) { chunk in
      scanner.consume(chunk)
      return scanner.fault == nil && !scanner.hasContent
    }
    if scanner.hasContent { return .data }
    if let fault = scanner.fault { return .broken("\(fault.reason) at offset \(fault.offset)") }
    return .empty
  }
}
