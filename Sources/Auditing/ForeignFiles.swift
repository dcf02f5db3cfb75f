import BackupFormat
import BackupTypes
import RedisFormats
import SystemIO

/// Finds Redis files under names that Lifeboat was not told about: a server with another `dbfilename`,
/// `appendfilename` or `appenddirname` writes where no look would see it.
///
/// Such a file matters if there is no file under the configured names, or if it is younger than that file
/// and changed in two looks. The cost is bounded: at most 1,000 names are read in a look, and the first
/// bytes of a file only if it is a different file than before.
struct ForeignFiles {
  private static let namesMax = 1000
  private static let directoriesMax = 16
  private static let knownMax = 256

  /// The kind of name that the user has to configure.
  private enum Kind { case dump, appendFile, appendDirectory }

  private struct Known {
    var identity: FileIdentity
    var isRedis: Bool
    var last: FileVersion?
    /// How many looks found it changed.
    var changes = 0
  }
  private var known: [String: Known] = [:]

  /// Looks once. Returns what to report if a foreign file matters.
  mutating func look(
    _ directory: OpenDirectory, names: ServerNames, beside sample: SourceSample
  ) throws(LifeboatError) -> String? {
    var seen: Set<String> = []
    var found: (name: String, kind: Kind, version: FileVersion, changes: Int)?
    func take(_ name: String, _ kind: Kind, _ version: FileVersion, _ changes: Int) {
      if found.map({ $0.version.modified < version.modified }) ?? true {
        found = (name, kind, version, changes)
      }
    }
    var directories = 0
    for entry in try directory.entries().prefix(ForeignFiles.namesMax) {
      let name = entry.name
      guard !ForeignFiles.isIgnored(name) else { continue }
      if entry.kind == .directory {
        guard directories < ForeignFiles.directoriesMax else { continue }
        directories += 1
        guard let inner = try? directory.openDirectory(name) else { continue }
        for (file, version) in ForeignFiles.logs(
          inner, known: name == names.appendDirectory ? names : nil)
        {
          let changes = note(name + "/" + file, version, isRedis: true, &seen)
          take(
            name == names.appendDirectory ? file : name,
            name == names.appendDirectory ? .appendFile : .appendDirectory, version, changes)
        }
        continue
      }
      guard entry.kind == .regular, name != names.dump, name != names.appendFile,
        let status = try directory.status(of: name), status.kind == .regular, status.size > 0
      else { continue }
      let version = FileVersion(status)
      guard let isLog = head(name, version, directory, &seen) else { continue }
      take(name, isLog ? .appendFile : .dump, version, known[name]?.changes ?? 0)
    }
    known = known.filter { seen.contains($0.key) }
    guard let found, matters(found.version, found.changes, sample) else { return nil }
    let flag =
      switch found.kind {
      case .dump: "--dbfilename"
      case .appendFile: "--appendfilename"
      case .appendDirectory: "--appenddirname"
      }
    return
      "\(directory.path) contains \(printable(found.name)), which is not one of the configured file names: "
      + "pass \(flag)"
  }

  private static func isIgnored(_ name: String) -> Bool {
    name.hasPrefix("temp-") || name.hasPrefix(".") || name == "nodes.conf" || name == "lost+found"
  }

  private func matters(_ version: FileVersion, _ changes: Int, _ sample: SourceSample) -> Bool {
    guard sample.holdsFiles else { return true }
    var told = sample.line.log.map { ([$0.base].compactMap { $0 }) + $0.files } ?? []
    if let dump = sample.dump { told.append(dump) }
    let youngest = told.map(\.version.modified).max()
    return changes >= 2 && youngest.map { version.modified > $0 } ?? true
  }

  private mutating func note(
    _ name: String, _ version: FileVersion, isRedis: Bool, _ seen: inout Set<String>
  ) -> Int {
    seen.insert(name)
    var one = known[name] ?? Known(identity: version.identity, isRedis: isRedis)
    if let last = one.last, last.size != version.size || last.modified != version.modified {
      one.changes += 1
    }
    (one.identity, one.isRedis, one.last) = (version.identity, isRedis, version)
    if known.count < ForeignFiles.knownMax || known[name] != nil { known[name] = one }
    return one.changes
  }

  /// What the file begins like: true for an AOF, false for a dump, nil for neither.
  private mutating func head(
    _ name: String, _ version: FileVersion, _ directory: OpenDirectory, _ seen: inout Set<String>
  ) -> Bool? {
    if let one = known[name], one.identity == version.identity, !one.isRedis {
      seen.insert(name)
      return nil
    }
    guard let file = try? directory.open(name),
      let first = try? file.head(6)
    else { return nil }
    let isDump = first.starts(with: "REDIS".utf8) || first.starts(with: "VALKEY".utf8)
    let isLog =
      first.starts(with: "#TS:".utf8)
      || (first.count > 1 && first[0] == UInt8(ascii: "*") && (49...57).contains(first[1]))
    _ = note(name, version, isRedis: isDump || isLog, &seen)
    return isDump ? name.hasSuffix(".aof") : isLog ? true : nil
  }

  /// The AOF sets of a directory by their manifests, except the one under the configured name.
  private static func logs(_ directory: OpenDirectory, known: ServerNames?) -> [(
    String, FileVersion
  )] {
    guard let entries = try? directory.entries().prefix(namesMax) else { return [] }
    var found: [(String, FileVersion)] = []
    for entry in entries
    where entry.name.hasSuffix(".manifest") && !entry.name.hasPrefix("temp-")
      && entry.name != known?.manifest
    {
      guard let bytes = try? directory.open(entry.name)?.readAll(limit: 1 << 20),
        let manifest = try? AOFManifest(parsing: bytes),
        let last = manifest.increments.last ?? manifest.base,
        let status = try? directory.status(of: last.file)
      else { continue }
      found.append((String(entry.name.dropLast(".manifest".count)), FileVersion(status)))
    }
    return found
  }
}

extension OpenFile {
  /// The first bytes; fewer if the file is shorter.
  func head(_ count: Int) throws(LifeboatError) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
    defer { buffer.deallocate() }
    return Array(buffer.prefix(try read(into: buffer, at: 0)))
  }
}
