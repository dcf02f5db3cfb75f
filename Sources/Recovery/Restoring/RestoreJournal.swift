import BackupFormat
package import BackupTypes
import HistoryLogic
package import RepositoryAccess
package import SystemIO

/// What a restore is doing, in its staging directory. After a crash the next run reads the journal, and
/// finishes, undoes or starts again. It is replaced durably at each step.
///
/// The journal is a file on the user's volume, so it is trusted only as far as the files agree with it. Its
/// names are checked here, and its files by `RestoreCommit.look`.
package struct RestoreJournal: Sendable, Equatable, Codable {
  package static let directory = ".lifeboat-restore"
  package static let name = "journal.json"
  /// Where the staged files are, below `directory`.
  package static let files = "files"
  /// The new marker, and the one that it replaces, below `directory`.
  package static let marker = "marker.json"
  package static let markerBefore = "marker-before.json"
  /// Where `--replace` moves files, and the prefix of the name for anything else that is moved aside.
  package static let replaced = ".lifeboat-replaced"
  package static let debris = ".lifeboat-debris-"

  private static let bytesMax = 32 << 20

  package enum Phase: String, Sendable, Codable {
    /// The target is unchanged.
    case staging
    /// Everything is staged, verified and durable; names are being changed.
    case committing
  }

  /// An existing file in the target when the commit began, by its path. It has no device number, which
  /// differs after a reboot or on another node.
  package struct Found: Sendable, Equatable, Codable {
    package var path: String
    package var inode: UInt64
    /// These three are nil for a directory, because they change with its content.
    package var size: UInt64?
    package var modifiedSeconds: Int64?
    package var modifiedNanoseconds: Int64?
  }

  /// A staged file.
  package struct Staged: Sendable, Equatable, Codable {
    package var path: String
    package var size: UInt64
    /// `StagedDigest`.
    package var digest: Digest
  }

  package var phase: Phase
  /// A random number for each run, so that another run in the same directory is noticed.
  package var run: String
  package var point: String
  package var request: RestoreRequest
  /// The top-level names to be moved aside, and where to. Then those to be moved in, in order.
  package var aside: String?
  package var movedAside: [String]
  package var movedIn: [String]
  package var found: [Found]
  package var staged: [Staged]
  /// The names of the files in the server's configuration.
  package var dump: String
  package var appendFile: String
  package var appendDirectory: String
  package var marker: Marker

  package init(
    run: String, point: String, request: RestoreRequest, names: ServerNames, marker: Marker
  ) {
    phase = .staging
    self.run = run
    self.point = point
    self.request = request
    (movedAside, movedIn, found, staged) = ([], [], [], [])
    (dump, appendFile, appendDirectory) = (names.dump, names.appendFile, names.appendDirectory)
    self.marker = marker
  }

  package var names: ServerNames {
    var names = ServerNames()
    (names.dump, names.appendFile, names.appendDirectory) = (dump, appendFile, appendDirectory)
    return names
  }
}

// MARK: Reading and writing

extension RestoreJournal {
  /// The content of the staging directory.
  package enum Reading: Sendable {
    /// There is no staging directory, or nothing was staged in it.
    case none
    /// A restore was interrupted while staging: the target is unchanged.
    case staging
    case committing(RestoreJournal)
    /// There is a journal that can't be used, for this reason.
    case unusable(String)
  }

  private struct Head: Decodable { var phase: Phase }

  package static func read(in data: OpenDirectory) throws -> Reading {
    guard let status = try data.status(of: directory) else { return .none }
    guard status.kind == .directory else { return .unusable("it is not a directory") }
    do {
      guard let staging = try data.openDirectory(directory) else { return .none }
      if let status = try staging.status(of: files), status.kind != .directory {
        return .unusable("\(files) in it is not a directory")
      }
      guard let file = try staging.open(name) else {
        let isEmpty = try staging.openDirectory(files)?.entries().isEmpty ?? true
        return isEmpty ? .none : .unusable("it has staged files but no journal")
      }
      let bytes = try file.readAll(limit: bytesMax)
      // An earlier release wrote less. For a restore that only staged, nothing more is needed.
      if try RecordCoding.decode(Head.self, from: bytes, name: name).phase == .staging {
        return .staging
      }
      let journal = try RecordCoding.decode(RestoreJournal.self, from: bytes, name: name)
      if let flaw = journal.flaw { return .unusable("its journal is inconsistent: \(flaw)") }
      return .committing(journal)
    } catch {
      guard let error = error as? LifeboatError else { return .unusable("\(error)") }
      return .unusable(error.inOneLine)
    }
  }

  /// The run that works in the directory; nil if there is none.
  package static func run(in data: OpenDirectory) -> String? {
    struct Head: Decodable { var run: String }
    guard let staging = try? data.openDirectory(directory), let file = try? staging.open(name),
      let bytes = try? file.readAll(limit: bytesMax)
    else { return nil }
    return try? RecordCoding.decode(Head.self, from: bytes, name: name).run
  }

  package func write(in data: OpenDirectory) throws {
    guard let staging = try data.openDirectory(RestoreJournal.directory) else {
      throw LifeboatError(
        .failure, "\(data.path)/\(RestoreJournal.directory) was removed during the restore")
    }
    let bytes = try RecordCoding.encode(self)
    guard bytes.count <= RestoreJournal.bytesMax else {
      throw LifeboatError(.failure, "the restore has too many files for its journal")
    }
    try DurableFile.replace(RestoreJournal.name, in: staging, bytes: bytes, mode: 0o644)
  }

  /// Removes the staging directory and the staged files, the journal last. If this is interrupted, the
  /// journal is still there, and the next run finishes or undoes it again. Staged files without a journal
  /// belong to someone else.
  package static func discard(in data: OpenDirectory) throws {
    if try data.status(of: directory)?.kind == .directory,
      let staging = try data.openDirectory(directory)
    {
      for name in [files, marker, markerBefore] { try staging.removeTree(name) }
    }
    try data.removeTree(directory)
    try data.synchronize()
  }

  /// What is wrong with the journal itself, without a look at any file. Nil if the journal is consistent.
  package var flaw: String? {
    let paths = found.map(\.path) + staged.map(\.path)
    let named = movedAside + movedIn + [dump, appendFile, appendDirectory]
    for path in paths + named {
      let parts = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
      guard parts.count <= 2, parts.allSatisfy(isPlainFileName) else {
        return "\(printable(path)) is not a file name that a server uses"
      }
    }
    guard named.allSatisfy({ !$0.contains("/") }) else {
      return "it moves a path instead of a file name"
    }
    guard Set(movedAside).count == movedAside.count, Set(movedIn).count == movedIn.count,
      Set(staged.map(\.path)).count == staged.count,
      Set(found.map(\.path)).count == found.count
    else { return "it names something twice" }
    guard !movedIn.isEmpty, Set(staged.map { top(of: $0.path) }) == Set(movedIn) else {
      return "the files it moves in are not those it staged"
    }
    guard Set(found.map { top(of: $0.path) }) == Set(movedAside) else {
      return "the files it moves aside are not those it found"
    }
    guard (aside == nil) == movedAside.isEmpty, aside.map(RestoreJournal.isAside) ?? true else {
      return "it moves files to a place that a restore does not use"
    }
    return nil
  }

  /// Whether a restore moves things aside to a directory of this name.
  private static func isAside(_ name: String) -> Bool {
    name == replaced || [debris, replaced + "-"].contains { isNumbered(name, behind: $0) }
  }

  private static func isNumbered(_ name: String, behind prefix: String) -> Bool {
    let number = name.utf8.dropFirst(prefix.utf8.count)
    return name.hasPrefix(prefix) && (1...20).contains(number.count)
      && number.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }

  /// Whether the files that are moved aside held data.
  var replacesData: Bool { aside?.hasPrefix(RestoreJournal.replaced) ?? false }

  package func top(of path: String) -> String { String(path.prefix { $0 != "/" }) }
}

extension RestoreJournal.Found {
  /// The files under a name of `directory`: the file itself or, for a directory, the files in it.
  package static func under(_ name: String, in directory: OpenDirectory) throws
    -> [RestoreJournal.Found]
  {
    guard let status = try directory.status(of: name) else { return [] }
    var found = [RestoreJournal.Found(name, status)]
    if status.kind == .directory, let inner = try directory.openDirectory(name) {
      for entry in try inner.entries() {
        if let status = try inner.status(of: entry.name) {
          found.append(RestoreJournal.Found(name + "/" + entry.name, status))
        }
      }
    }
    return found
  }

  private init(_ path: String, _ status: FileStatus) {
    self.path = path
    inode = status.inode
    guard status.kind != .directory else { return }
    size = status.size
    modifiedSeconds = status.modified.seconds
    modifiedNanoseconds = status.modified.nanoseconds
  }
}
