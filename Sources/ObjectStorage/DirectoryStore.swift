package import BackupTypes
import Synchronization
import SystemIO
package import SystemPackage

/// A repository in a directory: each object is a file, each "/" of its name a directory.
///
/// Guarantees:
/// - An object appears whole and durable or not at all (`DurableFile`), and so does its path: the name of
///   each directory in it is synchronized before `create` returns.
/// - Reading and creating never make the root: a missing root may be a volume that is not mounted, and proves
///   nothing about its content.
/// - Symbolic links inside are never followed, and files of other kinds are never listed.
///
/// `delete` removes directories that become empty. A `create` that loses its directory in this way makes it
/// again.
package final class DirectoryStore: ObjectStore {
  package let root: FilePath
  package var location: String { "file://" + root.description }

  /// The directories whose names are known to be durable, so that each costs one fsync of its parent for this
  /// store, and not one per object. They are known by identity: a directory that was removed and made again
  /// is another one.
  private let durable = Mutex<Set<DirectoryIdentity>>([])
  /// An identity takes about 64 bytes, so this is at most 256 KiB. When it is full it is emptied, which only
  /// costs some fsyncs.
  private static let durableMax = 4096
  /// How often a `create` makes its directories again.
  private static let attemptsMax = 100

  /// The root as it was when it was first opened: another directory under its path is another repository, or
  /// the mount point of a volume that was unmounted.
  private let known = Mutex<DirectoryIdentity?>(nil)

  /// The listing whose page was read last, if it has more pages. If several listings run at once, only one of
  /// them benefits. A new listing clears it, because the kept names of another one may be older.
  private let begun = Mutex<DirectoryListing?>(nil)

  package init(root: FilePath) { self.root = root }

  package func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    let components = try ObjectName.components(name)
    try checkSize(of: bytes, name)
    return try translating { () throws(LifeboatError) in
      for attempt in 1... {
        var way: [OpenDirectory] = []
        do throws(LifeboatError) {
          try makeDirectories(components.dropLast(), way: &way)
          let isNew = try DurableFile.createExclusively(
            components.last!, in: way.last!, bytes: bytes, mode: 0o644)
          return isNew ? .created : .exists
        } catch {
          // Retried only if a directory was removed meanwhile (an empty one, by `delete`). If the root is
          // missing, the next attempt fails before it makes anything.
          guard attempt < DirectoryStore.attemptsMax, try wasRemoved(way, components) else {
            throw error
          }
        }
      }
      fatalError("unreachable: the loop ends by returning or throwing")
    }
  }

  package func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    let components = try ObjectName.components(name)
    return try translating { () throws(LifeboatError) in
      guard let directory = try openDirectories(components.dropLast()),
        let status = try directory.status(of: components.last!)
      else { return nil }
      // A directory is not an object, so an object of that name is absent; a link or a device is damage.
      guard status.kind != .directory, let file = try directory.open(components.last!) else {
        return nil
      }
      return try file.readAll(limit: limit)
    }
  }

  package func list(prefix: String, continuing: String?) async throws -> ListPage {
    try translating { () throws(LifeboatError) in
      let known = begun.withLock { begun -> DirectoryListing? in
        if continuing == nil { begun = nil }
        guard begun?.continues(prefix: prefix, after: continuing) ?? false else { return nil }
        return begun.take()
      }
      var listing = known ?? DirectoryListing(prefix: prefix, after: continuing)
      let page = try listing.page(of: try openRoot())
      // Most callers that read one page do not read the next one.
      if known == nil { listing.forget() }
      if page.next != nil { begun.withLock { [listing] in $0 = listing } }
      return page
    }
  }

  package func folder(_ prefix: String) async throws -> StoreFolder {
    let components = prefix.isEmpty ? [] : try ObjectName.components(String(prefix.dropLast()))
    return try translating { () throws(LifeboatError) in
      var folder = StoreFolder()
      guard let directory = try openDirectories(components[...]) else { return folder }
      try directory.forEachEntry { (entry: OpenDirectory.Entry) throws(LifeboatError) in
        guard entry.isUTF8, !entry.name.hasPrefix(DurableFile.temporaryPrefix),
          !(components.isEmpty && entry.name == ObjectName.foreignDirectory)
        else { return }
        switch entry.kind {
        case .regular: folder.add(object: entry.name)
        case .directory: folder.add(folder: entry.name)
        case .symlink, .other: break
        }
      }
      folder.sort()
      return folder
    }
  }

  package func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    try translating { () throws(LifeboatError) in _ = try openRoot() }
    var failures: [String: LifeboatError] = [:]
    for name in names {
      do throws(LifeboatError) {
        let components = try ObjectName.components(name)
        try translating { () throws(LifeboatError) in try delete(components) }
      } catch {
        failures[name] = error
      }
    }
    return failures
  }

  package func now() async throws -> Instant? { nil }

  /// Makes the root, if the directory above it exists.
  package func prepare() async throws {
    try translating { () throws(LifeboatError) in
      guard let (parent, name) = try parentOfAbsentRoot() else {
        _ = try openRoot()
        return
      }
      let isMade: Bool
      do throws(LifeboatError) {
        isMade = try parent.makeDirectory(name, mode: 0o755)
      } catch {
        // The error already says why.
        var refusal = error
        if refusal.code != .noRoom { refusal.code = .storeUnavailable }
        throw refusal
      }
      if isMade { try parent.synchronize() }
      _ = try openRoot()
    }
  }

  /// Whether there is no root, and `prepare` would make it.
  ///
  /// - Throws: `.storeUnavailable` if there is no directory above it.
  package func isToBeMade() throws(LifeboatError) -> Bool {
    try translating { () throws(LifeboatError) in
      guard isRootAbsent else { return false }
      return try parentOfAbsentRoot() != nil
    }
  }

  /// The directory above the root and the root's name in it; nil if the root can be opened, or has no name.
  private func parentOfAbsentRoot() throws(LifeboatError) -> (OpenDirectory, name: String)? {
    let absolute = root.isRelative ? FilePath(".").pushing(root) : root
    guard let name = absolute.lastComponent?.string, name != "..", name != "." else { return nil }
    if (try? OpenDirectory(root)) != nil { return nil }
    do throws(LifeboatError) {
      return (try OpenDirectory(absolute.removingLastComponent()), name)
    } catch {
      throw error.adding(hint: DirectoryStore.mountHint)
    }
  }

  // MARK: Directories

  private static let mountHint =
    "check that the volume is mounted, or create the directory with mkdir -p"

  private func openRoot() throws(LifeboatError) -> OpenDirectory {
    let directory = try OpenDirectory(root)
    let identity = try directory.identity()
    let isSame = known.withLock { known in
      known = known ?? identity
      return known!.isSameDirectory(as: identity)
    }
    guard isSame else {
      throw LifeboatError(
        .storeUnavailable, "\(location) is no longer the same directory",
        cause: "its volume was unmounted, or the directory was replaced",
        hint: "mount the volume again; if the new directory is intended, restart lifeboat",
        isRetryable: true)
    }
    return directory
  }

  /// Nil if the path of an object is proved not to exist.
  private func openDirectories(
    _ components: ArraySlice<String>
  ) throws(LifeboatError) -> OpenDirectory? {
    var directory = try openRoot()
    for component in components {
      guard let status = try directory.status(of: component) else { return nil }
      // A file has no names below it. A link is not followed: opening it fails.
      if status.kind == .regular { return nil }
      guard let next = try directory.openDirectory(component) else { return nil }
      directory = next
    }
    return directory
  }

  /// Opens the directories in the path of an object, and makes the missing ones. Each of their names is
  /// durable on return.
  ///
  /// - Parameter way: the root and each directory of the path that was opened.
  private func makeDirectories(
    _ components: ArraySlice<String>, way: inout [OpenDirectory]
  ) throws(LifeboatError) {
    var directory = try openRoot()
    way = [directory]
    for component in components {
      let next = try openOrMake(component, in: directory)
      way.append(next)
      // Also if another process made it: that process may not have called fsync yet.
      let identity = try next.identity()
      if !durable.withLock({ $0.contains(identity) }) {
        try directory.synchronize()
        durable.withLock { known in
          if known.count >= DirectoryStore.durableMax { known.removeAll() }
          known.insert(identity)
        }
      }
      directory = next
    }
  }

  /// Whether the last directory of `way` is no longer where its name leads.
  private func wasRemoved(
    _ way: [OpenDirectory], _ components: [String]
  ) throws(LifeboatError) -> Bool {
    guard components.count > 1, let last = way.last else { return false }
    if try last.status().links == 0 { return true }
    guard let now = try openDirectories(components.prefix(way.count - 1)) else { return true }
    return try now.identity() != last.identity()
  }

  private func openOrMake(
    _ component: String, in directory: OpenDirectory
  ) throws(LifeboatError) -> OpenDirectory {
    for _ in 0..<DirectoryStore.attemptsMax {
      if let existing = try directory.openDirectory(component) { return existing }
      try directory.makeDirectory(component, mode: 0o755)
    }
    throw LifeboatError(
      .storeUnavailable, "can't create the directory \(directory.path)/\(component)",
      cause: "something removes it repeatedly", isRetryable: true)
  }

  private func delete(_ components: [String]) throws(LifeboatError) {
    var directories = [try openRoot()]
    for component in components.dropLast() {
      guard let above = directories.last, let status = try above.status(of: component),
        status.kind != .regular, let next = try above.openDirectory(component)
      else { return }
      directories.append(next)
    }
    let parent = directories.last!
    if try parent.status(of: components.last!)?.kind == .directory { return }
    try parent.remove(components.last!)
    // Empty directories do no harm, so any failure, usually "not empty", ends this.
    for index in stride(from: components.count - 2, through: 0, by: -1) {
      guard (try? directories[index].removeDirectory(components[index])) != nil else { return }
    }
  }

  // MARK: Errors

  /// Runs `body`. Its errors become errors of the repository.
  private func translating<Value>(
    _ body: () throws(LifeboatError) -> Value
  ) throws(LifeboatError) -> Value {
    do throws(LifeboatError) {
      return try body()
    } catch {
      throw translated(error)
    }
  }

  private func translated(_ error: LifeboatError) -> LifeboatError {
    var result = error
    switch error.code {
    case .noRoom:
      result.hint =
        "the file system of the REPOSITORY is full (\(location)): enlarge it, or keep fewer backups"
    case .corrupt: break
    case .storeUnavailable: break
    default:
      result.code = .storeUnavailable
      if isRootAbsent {
        result.message = "the repository \(location) does not exist"
        result.hint = DirectoryStore.mountHint
      }
    }
    return result
  }

  /// Whether the root is proved to be absent. If it can't be read, the caller's error says why.
  private var isRootAbsent: Bool {
    do throws(LifeboatError) {
      return try FileStatus.at(root) == nil
    } catch {
      return false
    }
  }
}
