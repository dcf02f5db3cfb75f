import BackupFormat
package import BackupTypes
import RedisFormats
package import SystemIO
package import SystemPackage

/// Looks at the data directory: opens it by its path, reads the AOF's manifest, and examines every file
/// that a server could load. It keeps open only the files that a server appends to, so that a server which
/// still writes to a deleted file is noticed.
///
/// Only reads. Blocks. Used by one caller at a time.
package struct SourceLook: AuditedSource {
  /// How often a manifest that changes while it is read is read again in one look.
  private static let attemptsMax = 20
  private static let manifestBytesMax = 4 << 20
  /// How long a file that a rewrite replaced is watched after its last growth, in milliseconds.
  private static let heldFor: Int64 = 10_000
  private static let heldMax = 4
  private static let namesMax = 1000

  let path: FilePath
  let names: ServerNames
  private let time: any TimeSource
  private var held: [Held] = []
  private var foreign = ForeignFiles()
  /// Whether small files hold no keys, by their version.
  private var keyless: [FileVersion: Bool] = [:]
  /// An RDB without keys is at most this long.
  private static let keylessBytesMax: UInt64 = 4096

  private struct Held {
    var file: OpenFile
    var name: String
    var identity: FileIdentity
    var size: UInt64
    /// Since when its name leads elsewhere; nil while the name leads to it.
    var namelessSince: Int64?
    /// What was under the names when it grew without a name.
    var grew: SourceSample.Line?
  }

  package init(_ path: FilePath, names: ServerNames, time: any TimeSource) {
    self.path = path
    self.names = names
    self.time = time
  }

  package mutating func sample() throws(LifeboatError) -> SourceSample {
    let at = time.monotonic
    let directory = try OpenDirectory(path, followsLinks: true)
    let root = try directory.status()
    var line = try line(directory)
    let born = try status(names.dump, directory)?.born
    var dump = try status(names.dump, directory).map {
      SourceSample.File(name: names.dump, version: FileVersion($0))
    }
    let isDumpKeyless = isKeyless(dump, in: directory)
    dump?.isKeyless = isDumpKeyless
    if case .log(var log) = line, log.base != nil,
      let inner = try directory.openDirectory(names.appendDirectory)
    {
      let isBaseKeyless = isKeyless(log.base, in: inner)
      log.base?.isKeyless = isBaseKeyless
      line = .log(log)
    }
    // A rewrite of an empty Redis 6 makes a single AOF that is an RDB without keys.
    if case .log(var log) = line, log.files.count == 1, log.files[0].name == names.appendFile {
      log.files[0].isKeyless = isKeyless(log.files[0], in: directory)
      line = .log(log)
    }
    let looked = [dump, line.log?.base, line.log?.files.first].map { $0?.version }
    keyless = keyless.filter { looked.contains($0.key) }
    var sample = SourceSample(
      at: at, wall: time.wall, root: FileVersion(root).identity, line: line, dump: dump,
      dumpBorn: born)
    try hold(sample, directory)
    sample.outOfSight = try outOfSight(sample, directory)
    sample.foreign = try foreign.look(directory, names: names, beside: sample)
    return sample
  }

  /// The bytes of a file that a look saw, from `offset` on.
  package func read(_ file: SourceSample.File, from offset: UInt64, count: Int) -> [UInt8]? {
    guard
      let open = held.first(where: { $0.identity == file.version.identity })?.file ?? reopened(file)
    else { return nil }
    var bytes = [UInt8](repeating: 0, count: count)
    let read = try? bytes.withUnsafeMutableBytes { (buffer) throws(LifeboatError) -> Int in
      try open.read(into: buffer, at: offset)
    }
    guard let read else { return nil }
    return Array(bytes.prefix(read))
  }

  /// A file that is not held, as long as its name leads to it.
  private func reopened(_ file: SourceSample.File) -> OpenFile? {
    guard let directory = try? OpenDirectory(path, followsLinks: true),
      let inner = file.name == names.appendFile
        ? directory : try? directory.openDirectory(names.appendDirectory),
      let open = try? inner.open(file.name), let status = try? open.status(),
      FileVersion(status).identity == file.version.identity
    else { return nil }
    return open
  }

  private mutating func isKeyless(_ file: SourceSample.File?, in directory: OpenDirectory) -> Bool {
    guard let file, file.version.size <= SourceLook.keylessBytesMax else { return false }
    if let known = keyless[file.version] { return known }
    guard
      let bytes = try? directory.open(file.name)?.readAll(limit: Int(SourceLook.keylessBytesMax))
    else { return false }
    var walker = RDBWalker()
    let used = bytes.withUnsafeBytes { walker.consume($0) }
    var found = false
    if case .ended = walker.finish(), !walker.hasContent, used == bytes.count { found = true }
    keyless[file.version] = found
    return found
  }

  // MARK: The AOF

  private func line(_ directory: OpenDirectory) throws(LifeboatError) -> SourceSample.Line {
    guard let inner = try directory.openDirectory(names.appendDirectory) else {
      return try legacy(directory)
    }
    for _ in 0..<SourceLook.attemptsMax {
      guard let bytes = try read(names.manifest, inner) else {
        if let unusable = try withoutManifest(inner) { return unusable }
        return try legacy(directory)
      }
      if let manifest = try? AOFManifest(parsing: bytes), manifest.awaits(names.appendFile),
        try inner.status(of: names.appendFile) == nil
      {
        let single = try legacy(directory)
        if case .log = single { return single }
      }
      guard let line = try set(bytes, inner) else { continue }
      guard try read(names.manifest, inner) == bytes else { continue }
      return line
    }
    return .unusable("the AOF manifest changes faster than its files can be checked")
  }

  /// Nil if a file that the manifest names was deleted during the look, perhaps together with the manifest.
  private func set(_ bytes: [UInt8], _ directory: OpenDirectory) throws(LifeboatError)
    -> SourceSample.Line?
  {
    let path = "\(names.appendDirectory)/\(names.manifest)"
    let manifest: AOFManifest
    do throws(AOFManifestFault) {
      manifest = try AOFManifest(parsing: bytes)
    } catch {
      return .unusable(
        "\(path) is invalid, "
          + (error.isEmpty ? "it is empty" : "line \(error.line): \(error.reason)")
          + ". A server would not start with it. If Redis is running, BGREWRITEAOF writes a new one"
      )
    }
    if let name = manifest.nameTwice {
      return .unusable(
        "\(path) lists \(printable(name)) twice, which can't be backed up. If Redis is running, "
          + "BGREWRITEAOF writes a new AOF")
    }
    func file(_ entry: AOFManifest.Entry) throws(LifeboatError) -> SourceSample.File? {
      guard let status = try status(entry.file, directory) else { return nil }
      return .init(name: entry.file, version: FileVersion(status))
    }
    let manifestStatus = try directory.status(of: names.manifest)
    let isClosed = manifest.increments.last?.isClosed ?? false
    var log = SourceSample.Log(
      base: nil, files: [],
      manifestModified: isClosed ? nil : manifestStatus?.modified)
    for entry in manifest.entries where entry.kind != .history {
      guard let found = try file(entry) else {
        guard try read(names.manifest, directory) == bytes else { return nil }
        return .unusable(
          "\(path) lists \(printable(entry.file)), which is missing. A server would not start with it. If "
            + "Redis is running, BGREWRITEAOF writes a new AOF")
      }
      if entry.kind == .base { log.base = found } else { log.files.append(found) }
    }
    return .log(log)
  }

  /// A verdict for an AOF directory that holds files but no manifest; nil when it holds no files.
  private func withoutManifest(_ directory: OpenDirectory) throws(LifeboatError)
    -> SourceSample.Line?
  {
    for entry in try directory.entries().prefix(SourceLook.namesMax)
    where entry.name.hasPrefix(names.appendFile + ".") {
      guard let status = try status(entry.name, directory), status.size > 0 else { continue }
      return .unusable(
        "\(names.appendDirectory) contains \(printable(entry.name)) but no manifest: a server would start "
          + "empty. If Redis is running, BGREWRITEAOF writes a new AOF")
    }
    return nil
  }

  private func legacy(_ directory: OpenDirectory) throws(LifeboatError) -> SourceSample.Line {
    guard let status = try status(names.appendFile, directory) else { return .none }
    let file = SourceSample.File(name: names.appendFile, version: FileVersion(status))
    return .log(.init(base: nil, files: [file], manifestModified: nil))
  }

  private func read(_ name: String, _ directory: OpenDirectory) throws(LifeboatError) -> [UInt8]? {
    try directory.open(name)?.readAll(limit: SourceLook.manifestBytesMax)
  }

  private func status(_ name: String, _ directory: OpenDirectory) throws(LifeboatError)
    -> FileStatus?
  {
    guard let status = try directory.status(of: name), status.kind == .regular else { return nil }
    return status
  }

  // MARK: Files that lost their name

  /// Opens the last file of the set, if it is not open yet.
  private mutating func hold(_ sample: SourceSample, _ directory: OpenDirectory)
    throws(LifeboatError)
  {
    guard let log = sample.line.log, let last = log.files.last,
      !held.contains(where: { $0.identity == last.version.identity })
    else { return }
    let inner =
      last.name == names.appendFile
      ? directory : try directory.openDirectory(names.appendDirectory) ?? directory
    guard let file = try inner.open(last.name) else { return }
    let version = FileVersion(try file.status())
    // A rewrite can put another file there between the two.
    guard version.identity == last.version.identity else { return }
    held.append(
      Held(
        file: file, name: last.name, identity: version.identity, size: version.size,
        namelessSince: nil, grew: nil))
  }

  private mutating func outOfSight(_ sample: SourceSample, _ directory: OpenDirectory)
    throws(LifeboatError) -> String?
  {
    let named = Set((sample.line.log?.files ?? []).map(\.version.identity))
    var reason: String?
    var kept: [Held] = []
    for var one in held {
      let size = try one.file.status().size
      let isNamed = named.contains(one.identity)
      let leadsToIt = try leads(one, directory)
      if isNamed || leadsToIt {
        (one.namelessSince, one.grew, one.size) = (nil, nil, size)
        kept.append(one)
        continue
      }
      // Growth from before its name was gone is no sign.
      if one.namelessSince == nil {
        one.namelessSince = sample.at
      } else if size > one.size {
        (one.grew, one.namelessSince) = (sample.line, sample.at)
      }
      one.size = size
      if let before = one.grew {
        // A set that appeared or grew since is the one the server writes to now.
        if sample.line.log?.hasContent == true, sample.line != before {
          one.grew = nil
        } else {
          reason =
            "Redis writes to \(printable(one.name)), which was deleted or moved: those writes will be lost at "
            + "the next start. BGREWRITEAOF makes it write new files in \(path)"
        }
      }
      // Another file under the same name is not a rewrite: someone put it there, and the server may not
      // know.
      let isReplaced =
        sample.line.log.map { log in
          log.hasContent
            && !log.files.contains { $0.name == one.name && one.name != names.appendFile }
        } ?? false
      let isOver =
        isReplaced && one.grew == nil
        && sample.at - (one.namelessSince ?? sample.at) >= SourceLook.heldFor
      if !isOver { kept.append(one) }
    }
    held = Array(kept.suffix(SourceLook.heldMax))
    return reason
  }

  /// Whether the name of a held file still leads to it, even if no manifest lists it.
  private func leads(_ one: Held, _ directory: OpenDirectory) throws(LifeboatError) -> Bool {
    let place =
      one.name == names.appendFile ? directory : try directory.openDirectory(names.appendDirectory)
    guard let status = try place?.status(of: one.name) else { return false }
    return FileVersion(status).identity == one.identity
  }
}
