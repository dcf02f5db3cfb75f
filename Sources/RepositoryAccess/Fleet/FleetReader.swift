import BackupFormat
package import BackupTypes
package import HistoryLogic
package import ObjectStorage
import Synchronization

/// Finds the repositories below a prefix. Reads what a row needs of each one, which is what `report` reads.
///
/// Small repositories are read in parallel. A repository with more than `smallMax` objects is put off. Those
/// are read one at a time, so the memory needed is that of one `report` plus a few small repositories.
package struct FleetReader: Sendable {
  package struct Options: Sendable {
    /// The maximum age of the newest restore point, in milliseconds; nil: any age is fine.
    package var ageMax: Int64?
    package init(ageMax: Int64?) { self.ageMax = ageMax }
  }

  /// The most repositories that are read.
  package static let repositoriesMax = 10_000
  /// The maximum depth of folders that are searched.
  private static let depthMax = 8
  /// The most objects of a repository that is read in parallel with others.
  static let smallMax = 5000

  private let store: any ObjectStore
  private let keys: KeySource
  private let options: Options
  private let now: @Sendable () -> Instant
  private let progress: @Sendable (UInt64, UInt64) -> Void

  /// - Parameters:
  ///   - keys: the keys for encrypted repositories. The others are read without keys.
  ///   - progress: receives how many repositories were read, and the total.
  package init(
    _ store: any ObjectStore, keys: KeySource, options: Options,
    now: @escaping @Sendable () -> Instant,
    progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
  ) {
    self.store = store
    self.keys = keys
    self.options = options
    self.now = now
    self.progress = progress
  }

  /// - Throws: if the prefix itself can't be listed. A problem with one repository is reported in its row.
  package func run() async throws -> Fleet {
    let found = try await discover()
    let counter = ProgressCounter(total: UInt64(found.paths.count), report: progress)
    var rows = found.rows
    var large: [String] = []
    try await inParallel(found.paths) { path in
      let row = try await row(path, objectsMax: FleetReader.smallMax)
      if row != nil { counter.add(1) }
      return (path, row)
    } take: { result in
      if let row = result.1 { rows.append(row) } else { large.append(result.0) }
    }
    for path in large {
      if let row = try await row(path, objectsMax: .max) { rows.append(row) }
      counter.add(1)
    }
    return Fleet(location: store.location, at: now(), rows: rows, leftOut: found.leftOut)
  }

  /// How many repositories are read at the same time. Each has a listing and some records in memory.
  private var width: Int { max(2, min(16, MemoryBound.current.objectsBytes / (4 << 20))) }

  private func inParallel<Item: Sendable, Value: Sendable>(
    _ items: [Item], _ read: @escaping @Sendable (Item) async throws -> Value,
    take: (Value) -> Void
  ) async throws {
    let width = width
    try await withThrowingTaskGroup(of: Value.self) { group in
      for (number, item) in items.enumerated() {
        if number >= width, let value = try await group.next() { take(value) }
        group.addTask { try await read(item) }
      }
      for try await value in group { take(value) }
    }
  }

  // MARK: Discovery

  struct Found {
    /// Paths of repositories, and of what may have been one.
    var paths: [String] = []
    /// Rows for places that could not be searched.
    var rows: [FleetRow] = []
    var leftOut = 0
  }

  private enum Place: Sendable {
    case repository
    case folders([String], isCut: Bool)
    case failed(FleetRow)
  }

  /// Searches level by level. There is no other repository below a repository.
  private func discover() async throws -> Found {
    var found = Found()
    var level = [""]
    for depth in 0...FleetReader.depthMax where !level.isEmpty {
      var next: [String] = []
      try await inParallel(level) { path in
        (path, try await look(path))
      } take: { path, place in
        switch place {
        case .repository: found.paths.append(path)
        case .failed(let row): found.rows.append(row)
        case .folders(let names, let isCut):
          next += names.map { path.isEmpty ? $0 : path + "/" + $0 }
          if isCut { found.leftOut += 1 }
        }
      }
      if depth == FleetReader.depthMax {
        found.leftOut += next.count
        break
      }
      if next.count > 2 * FleetReader.repositoriesMax {
        found.leftOut += next.count - 2 * FleetReader.repositoriesMax
        next = Array(next.sorted().prefix(2 * FleetReader.repositoriesMax))
      }
      level = next.sorted()
    }
    found.paths.sort()
    if found.paths.count > FleetReader.repositoriesMax {
      found.leftOut += found.paths.count - FleetReader.repositoriesMax
      found.paths = Array(found.paths.prefix(FleetReader.repositoriesMax))
    }
    return found
  }

  private func look(_ path: String) async throws -> Place {
    let folder: StoreFolder
    do {
      folder = try await store.folder(path.isEmpty ? "" : path + "/")
    } catch let error as LifeboatError where !path.isEmpty {
      return .failed(row(path, .failed(error, cipher: nil)))
    }
    if folder.objects.contains(ObjectPath.descriptor.text) { return .repository }
    // The repository lost its descriptor, or is being created. Opening it shows which. The same applies to an
    // empty directory.
    if folder.folders.contains(where: Repository.folders.contains) { return .repository }
    if folder.folders.isEmpty, folder.objects.isEmpty, !path.isEmpty { return .repository }
    return .folders(folder.folders, isCut: folder.isCut)
  }

  // MARK: One repository

  private func row(_ path: String, _ facts: FleetRow.Facts) -> FleetRow {
    FleetRow(
      name: path.isEmpty ? "." : printable(path),
      location: StoreBelow(store, path: path).location, facts, ageMax: options.ageMax, now: now())
  }

  /// Nil if the repository has more than `objectsMax` objects.
  private func row(_ path: String, objectsMax: Int) async throws -> FleetRow? {
    let place = LimitedStore(StoreBelow(store, path: path), objectsMax: objectsMax)
    var cipher: String?
    do {
      // A given key is only used for encrypted repositories.
      let descriptor = try await Repository.descriptor(place)
      cipher = descriptor?.cipher.rawValue
      let chronicle = try await ChronicleReader.read(
        place, keys: descriptor?.cipher == Descriptor.Cipher.none ? .none : keys, now: now())
      return row(path, .picture(chronicle))
    } catch is LimitedStore.TooMany {
      return nil
    } catch let error as LifeboatError {
      return row(path, .failed(error, cipher: cipher))
    }
  }
}

/// A store that gives up a listing when it gets too long.
private struct LimitedStore: StoreLayer {
  struct TooMany: Error {}
  let base: any ObjectStore
  private let objectsMax: Int
  /// It counts a listing's pages, which then have to come one after another.
  var listsSideBySide: Bool { objectsMax == .max && base.listsSideBySide }
  private let counted = CountedNames()

  init(_ base: any ObjectStore, objectsMax: Int) {
    self.base = base
    self.objectsMax = objectsMax
  }

  func list(prefix: String, continuing: String?) async throws -> ListPage {
    let page = try await base.list(prefix: prefix, continuing: continuing)
    if counted.add(page.entries.count, startsAgain: continuing == nil) > objectsMax {
      throw TooMany()
    }
    return page
  }
}

/// How many names a listing has returned so far.
private final class CountedNames: Sendable {
  private let count = Mutex(0)

  func add(_ names: Int, startsAgain: Bool) -> Int {
    count.withLock { count in
      count = (startsAgain ? 0 : count) + names
      return count
    }
  }
}
