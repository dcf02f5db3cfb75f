import BackupTypes
import HistoryLogic
import RepositoryAccess
import SystemIO
import SystemPackage

/// The data directory that a restore fills: its content, and whether a server uses it.
struct RestoreTarget {
  let path: FilePath
  let names: ServerNames
  let directory: OpenDirectory

  /// Opens the directory, and creates it if only its last component is missing.
  init(_ path: FilePath, names: ServerNames, makes: Bool) throws {
    self.path = path
    self.names = names
    if makes, try FileStatus.at(path) == nil, let name = path.lastComponent?.string {
      let parent = path.removingLastComponent()
      let made = try OpenDirectory(parent.isEmpty ? "." : parent)
      try made.makeDirectory(name, mode: 0o755)
      try made.synchronize()
    }
    directory = try OpenDirectory(path)
  }

  /// Whether a restore would create the directory: only its last component is missing.
  static func isToBeMade(_ path: FilePath) throws -> Bool {
    guard try FileStatus.at(path) == nil, path.lastComponent != nil else { return false }
    let parent = path.removingLastComponent()
    return FileStatus.isDirectory(parent.isEmpty ? "." : parent)
  }

  func verdict(appendOnly: AppendOnly) throws -> DataVerdict {
    DataVerdict.judge(try facts(), appendOnly: appendOnly)
  }

  func facts() throws -> DataFacts { try DirectoryLook(path, names: names).facts() }

  /// Everything that a server would write here: sizes, inodes and times of the files by name, so that a
  /// change is noticed.
  func fingerprint() throws -> [String: FileStatus] {
    var found: [String: FileStatus] = [:]
    // A server follows links, too.
    let reader = try OpenDirectory(path, followsLinks: true)
    for entry in try directory.entries() where !entry.name.hasPrefix(".lifeboat") {
      guard let status = try directory.status(of: entry.name) else { continue }
      found[entry.name] = status
      if status.kind == .symlink { found[entry.name + "/"] = try? reader.status(of: entry.name) }
      if entry.name == names.appendDirectory, let inner = try? reader.openDirectory(entry.name) {
        for file in try inner.entries() {
          if let status = try inner.status(of: file.name) {
            found[entry.name + "/" + file.name] = status
          }
        }
      }
    }
    // The directory's own times change because of our staging.
    return found.mapValues {
      var status = $0
      if status.kind == .directory {
        status.modified = FileMoment(seconds: 0, nanoseconds: 0)
        status.changed = FileMoment(seconds: 0, nanoseconds: 0)
        status.links = 0
        status.size = 0
      }
      return status
    }
  }

  /// A process that visibly uses the directory: a Redis or Valkey with it as working directory, or any
  /// process with an open file in it. Processes of other containers can't be seen.
  func user() throws -> String? {
    try ProcessTable.user(of: directory.status())
  }

  /// The existing top-level names that `plan` would replace.
  func inTheWay(of plan: RestorePlan) throws -> [String] {
    let wanted = Set(plan.files.map { $0.directory ?? $0.name })
    let known = [names.dump, names.appendFile, names.appendDirectory]
    return try wanted.union(known).sorted().filter { try directory.status(of: $0) != nil }
  }
}
