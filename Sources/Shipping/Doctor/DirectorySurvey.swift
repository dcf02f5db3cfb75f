import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import RepositoryAccess
import SystemIO
import SystemPackage

/// Gathers the facts about a data directory that `doctor` judges. A server may write meanwhile: the files
/// are those that one manifest names, and each is read up to its size when it was opened.
struct DirectorySurvey {
  /// At most this many names are read, including those in subdirectories.
  static let namesMax = 1000
  /// At most this many bytes of the files that a server would load are read.
  static let readMax: UInt64 = 1 << 30
  /// How often to try again if the set of files changes while it is opened.
  private static let attemptsMax = 20
  private static let manifestBytesMax = 4 << 20

  private let path: FilePath
  private let names: ServerNames
  private var sight = DirectorySight()
  private var budget = DirectorySurvey.readMax
  private var namesLeft = DirectorySurvey.namesMax
  /// When the files under the configured names were last written.
  private var newest: FileMoment?

  init(_ path: FilePath, names: ServerNames) {
    self.path = path
    self.names = names
  }

  mutating func run() throws -> DirectorySight {
    let directory = try OpenDirectory(path, followsLinks: true)
    let files = try pin(directory)
    for file in files { try read(file) }
    try sweep(directory)
    return sight
  }

  // MARK: The files that a server would load

  private enum Role { case dump, legacy, part(isLast: Bool) }

  private struct Pinned {
    var name: String
    var file: OpenFile
    var role: Role
  }

  /// Opens the files that a server would load, until the manifest is the same before and after.
  private mutating func pin(_ directory: OpenDirectory) throws -> [Pinned] {
    var files: [Pinned] = []
    for _ in 0..<DirectorySurvey.attemptsMax {
      let before = try manifest(directory)
      sight.data = try DirectoryLook(path, names: names).facts()
      files = try open(directory)
      guard try manifest(directory) != before else { break }
    }
    return files
  }

  private mutating func manifest(_ directory: OpenDirectory) throws -> [UInt8]? {
    let inner = try directory.openDirectory(names.appendDirectory)
    sight.hasAppendDirectory = inner != nil
    return try inner?.open(names.manifest)?.readAll(limit: DirectorySurvey.manifestBytesMax)
  }

  private func open(_ directory: OpenDirectory) throws -> [Pinned] {
    var files: [Pinned] = []
    if let dump = try directory.open(names.dump) {
      files.append(Pinned(name: names.dump, file: dump, role: .dump))
    }
    guard let inner = try directory.openDirectory(names.appendDirectory),
      case .valid(let manifest) = sight.data.manifest
    else {
      if sight.data.manifest == .absent, let legacy = try directory.open(names.appendFile) {
        files.append(Pinned(name: names.appendFile, file: legacy, role: .legacy))
      }
      return files
    }
    let entries = manifest.entries.filter { $0.kind != .history }
    for (position, entry) in entries.enumerated() {
      guard let file = try inner.open(entry.file) else { continue }
      files.append(
        Pinned(
          name: entry.file, file: file, role: .part(isLast: position == entries.count - 1)))
    }
    return files
  }

  /// Reads a file to its end. If a server would refuse the file, that replaces the verdict about its first
  /// bytes.
  private mutating func read(_ pinned: Pinned) throws {
    let status = try pinned.file.status()
    newest = max(newest ?? status.modified, status.modified)
    guard status.size > 0 else { return }
    guard status.size <= budget else {
      sight.unreadBytes += status.size
      return
    }
    budget -= status.size
    let magic = try pinned.file.bytes(from: 0, to: min(status.size, 6))
    let isRDB = magic.starts(with: "REDIS".utf8) || magic.starts(with: "VALKEY".utf8)
    switch pinned.role {
    case .dump:
      if let fault = try faultOfCopy(pinned.file, status.size, isDump: true) {
        sight.data.dump = .broken(fault)
      }
    case .legacy:
      if let fault = try faultOfLog(pinned.file, status.size, isLast: true) {
        sight.data.legacy = .broken(fault)
      }
    case .part(let isLast):
      // An RDB as BASE that is the only file may be followed by a log: it is an adopted legacy AOF.
      let fault =
        isRDB && !isLast
        ? try faultOfCopy(pinned.file, status.size, isDump: false)
        : try faultOfLog(pinned.file, status.size, isLast: isLast)
      if let fault { sight.data.files[pinned.name] = .broken(fault) }
    }
  }

  private func faultOfCopy(_ file: OpenFile, _ size: UInt64, isDump: Bool) throws -> String? {
    var check = GenerationCheck(kind: isDump ? .dump : .base, observer: nil)
    try file.forEachChunk(from: 0, to: size) {
      check.consume($0)
      return true
    }
    guard case .broken(let reason) = check.finish().verdict else { return nil }
    return reason
  }

  private func faultOfLog(_ file: OpenFile, _ size: UInt64, isLast: Bool) throws -> String? {
    var scanner = AOFScanner()
    try file.forEachChunk(from: 0, to: size) { chunk in
      scanner.consume(chunk)
      _ = scanner.takeFindings()
      return scanner.fault == nil
    }
    if let fault = scanner.fault {
      // The RDB preamble of a newer server can't be read, but that is not a fault of the file.
      if case .unknown? = scanner.preambleState { return nil }
      return try zeros(file, from: fault.offset, to: size)
        ?? "\(fault.reason) at offset \(fault.offset)"
    }
    if case .walking? = scanner.preambleState { return "its RDB part is truncated" }
    guard !isLast, scanner.boundary < size else { return nil }
    return
      "it ends in the middle of a command, at offset \(scanner.boundary), and is not the last file"
  }

  /// What a power loss leaves: the new length of the file without its new bytes. Nil if there are other
  /// bytes.
  private func zeros(_ file: OpenFile, from: UInt64, to: UInt64) throws -> String? {
    var isZero = from < to
    try file.forEachChunk(from: from, to: to) { chunk in
      isZero = isZero && chunk.allSatisfy { $0 == 0 }
      return isZero
    }
    guard isZero else { return nil }
    return "after its last command, at offset \(from), it ends in \(to - from) NUL bytes"
  }

  // MARK: Files next to them

  private mutating func sweep(_ directory: OpenDirectory) throws {
    let entries = try look(directory)
    for entry in entries where entry.kind == .regular {
      let name = entry.name
      if name.hasPrefix("temp-") {
        sight.temporary.append(name)
      } else if name != names.dump, name != names.appendFile, !name.hasPrefix(".") {
        try note(file: name, in: directory)
      }
    }
    for entry in entries where entry.kind == .directory && !entry.name.hasPrefix(".") {
      // If this user may not open it, it contains no data of a Redis whose files the user may read.
      guard let inner = try? directory.openDirectory(entry.name) else { continue }
      let isTold = entry.name == names.appendDirectory
      for file in try look(inner) where file.kind == .regular {
        if isTold, file.name.hasPrefix("temp-") {
          sight.temporary.append(entry.name + "/" + file.name)
        }
        guard file.name.hasSuffix(".manifest"), !isTold || file.name != names.manifest,
          !file.name.hasPrefix("temp-")
        else { continue }
        note(manifest: file.name, in: inner, entry.name, isTold: isTold)
      }
    }
    sight.foreign.sort { ($0.isYounger ? 0 : 1, $0.path) < ($1.isYounger ? 0 : 1, $1.path) }
  }

  /// The names in a directory, as far as the bound allows, sorted.
  private mutating func look(_ directory: OpenDirectory) throws -> [OpenDirectory.Entry] {
    var entries: [OpenDirectory.Entry] = []
    try directory.forEachEntry { (entry) throws(LifeboatError) in
      guard namesLeft > 0 else {
        sight.hasMoreNames = true
        return
      }
      namesLeft -= 1
      if entry.isUTF8 { entries.append(entry) }
    }
    return entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  private mutating func note(file name: String, in directory: OpenDirectory) throws {
    guard let file = try? directory.open(name), let status = try? file.status(),
      let head = try? file.bytes(from: 0, to: min(status.size, 9)), head.count == 9
    else { return }
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    let kind: DirectorySight.Foreign.Kind
    if head.starts(with: "REDIS".utf8) && digits.contains(head[5])
      || head.starts(with: "VALKEY".utf8) && digits.contains(head[6])
    {
      kind = name.hasSuffix(".aof") ? .log : .dump
    } else if head[0] == UInt8(ascii: "*"), digits.contains(head[1]) {
      kind = .log
    } else {
      return
    }
    sight.foreign.append(.init(kind, path: name, isYounger: isYounger(status.modified)))
  }

  private mutating func note(
    manifest name: String, in directory: OpenDirectory, _ directoryName: String, isTold: Bool
  ) {
    guard let file = try? directory.open(name), let status = try? file.status(),
      let bytes = try? file.readAll(limit: DirectorySurvey.manifestBytesMax),
      let manifest = try? AOFManifest(parsing: bytes)
    else { return }
    // A file that another manifest names is not stray.
    if isTold, sight.data.manifest == .absent {
      for file in manifest.entries.map(\.file) + [name] { sight.data.files[file] = nil }
    }
    // The last file of the log says when the log was written.
    let last = manifest.entries.last.flatMap { try? directory.status(of: $0.file) }?.modified
    sight.foreign.append(
      .init(
        .aof(directory: directoryName, file: String(name.dropLast(".manifest".count))),
        path: directoryName + "/" + name,
        isYounger: isYounger(max(last ?? status.modified, status.modified))))
  }

  private func isYounger(_ time: FileMoment) -> Bool { newest.map { time > $0 } ?? true }
}
