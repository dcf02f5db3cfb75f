package import BackupTypes
import Synchronization
import SystemIO
package import SystemPackage

/// A repository in a directory: each object is a file, each "/" of its name a directory.
///
/// Guarantees:
/// - An object appears whole and durable or not at all (`DurableFile`), and so does the way to it:
///   the name of each directory in the path is synchronized before `create` returns.
/// - The root is never made by reading or creating: a root that is not there may be a volume that
///   is not mounted, and says nothing about what is on it.
/// - Symbolic links inside are never followed, and files of foreign kinds never listed.
///
/// Directories that become empty are removed by `delete`; a `create` that loses its directory to
/// that makes it again.
package final class DirectoryStore: ObjectStore {
  package let root: FilePath
  package var location: String { "file://" + root.description }

  /// The directories whose own names are known to be durable, so that each costs one fsync of its
  /// parent in the life of this store and not one per object. Known by identity: a directory that
  /// was removed and made again by someone else is another one.
  private let durable = Mutex<Set<DirectoryIdentity>>([])
  /// Arithmetic: an identity takes about 64 bytes, so this is at most 256 KiB. When it is full it is
  /// emptied, which costs some fsyncs and nothing else.
  private static let durableMax = 4096
  /// How often a `create` makes its directories again.
  private static let attemptsMax = 100

  /// The root as it was when it was first opened: another directory under its path is another repository,
  /// or the mount point of a volume that is gone.
  private let known = Mutex<DirectoryIdentity?>(nil)

  /// The listing whose page was read last, if it has more pages. If several listings run at once, only one of
  /// them has this help. A listing that begins forgets it: the names that another has kept may be older.
  private let begun = Mutex<DirectoryListing?>(nil)

  package init(root: FilePath) { self.root = root }

  package func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    let components = try ObjectName.components(name)
    guard bytes.count <= objectByteCountMax else {
      throw LifeboatError(
        .failure, "\(name) has \(humanBytes(bytes.count)), more than the limit for an object")
    }
    return try translating { () throws(LifeboatError) in
      for attempt in 1... {
        var way: [OpenDirectory] = []
        do throws(LifeboatError) {
          try makeDirectories(components.dropLast(), way: &way)
          let isNew = try DurableFile.createExclusively(
            components.last!, in: way.last!, bytes: bytes, mode: 0o644)
          return isNew ? .created : .exists
        } catch {
          // Only a directory removed under us (an empty one, by `delete`) is tried again; a root
          // that is gone fails in the next attempt, before anything is made.
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
      // A directory is not an object, so one of that name is absent; a link or a device is damage.
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
      // Most of those that look at one page do not want the next one.
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
      let absolute = root.isRelative ? FilePath(".").pushing(root) : root
      guard let name = absolute.lastComponent?.string, name != "..", name != "." else {
        _ = try openRoot()
        return
      }
      if (try? OpenDirectory(root)) != nil { return }
      let parent: OpenDirectory
      do throws(LifeboatError) {
        parent = try OpenDirectory(absolute.removingLastComponent())
      } catch {
        throw error.adding(hint: DirectoryStore.mountHint)
      }
      let isMade: Bool
      do throws(LifeboatError) {
        isMade = try parent.makeDirectory(name, mode: 0o755)
      } catch {
        // It says why there is none.
        var refusal = error
        if refusal.code != .noRoom { refusal.code = .storeUnavailable }
        throw refusal
      }
      if isMade { try parent.synchronize() }
      _ = try openRoot()
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

  /// nil when the way to an object is proved not to be there.
  private func openDirectories(
    _ components: ArraySlice<String>
  ) throws(LifeboatError) -> OpenDirectory? {
    var directory = try openRoot()
    for component in components {
      guard let status = try directory.status(of: component) else { return nil }
      // Nothing is below a file. A link is not followed: opening it says so.
      if status.kind == .regular { return nil }
      guard let next = try directory.openDirectory(component) else { return nil }
      directory = next
    }
    return directory
  }

  /// Opens the way to an object, making what is not there; each name on it is durable on return.
  ///
  /// - Parameter way: the root and each directory of the path, as far as it came.
  private func makeDirectories(
    _ components: ArraySlice<String>, way: inout [OpenDirectory]
  ) throws(LifeboatError) {
    var directory = try openRoot()
    way = [directory]
    for component in components {
      let next = try openOrMake(component, in: directory)
      way.append(next)
      // Also when another process made it: it may not have come to its fsync yet.
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
    // Empty directories are only untidy, so any failure, above all "not empty", ends this.
    for index in stride(from: components.count - 2, through: 0, by: -1) {
      guard (try? directories[index].removeDirectory(components[index])) != nil else { return }
    }
  }

  // MARK: Errors

  /// Runs `body`; what goes wrong in it goes wrong in the repository, and is said so.
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

  /// Proved absence. A root that can't be read keeps the message that says why.
  private var isRootAbsent: Bool {
    do throws(LifeboatError) {
      return try FileStatus.at(root) == nil
    } catch {
      return false
    }
  }
}
