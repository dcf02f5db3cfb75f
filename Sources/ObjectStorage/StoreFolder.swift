package import BackupTypes

/// The contents of one level below a prefix, as if each "/" in a name were a directory.
package struct StoreFolder: Sendable, Equatable {
  /// The most names of each kind that are kept.
  package static let namesMax = 10_000

  /// The next component of longer names, without "/", in order.
  package private(set) var folders: [String] = []
  /// Objects without another "/" in their names, in order.
  package private(set) var objects: [String] = []
  /// There are more names than `namesMax`.
  package private(set) var isCut = false
  /// How the pages of the listing began, and how many in a row began with nothing new.
  private var beginnings: Set<String> = []
  private var lastBeginning: String?
  private var idlePages = 0

  package init() {}

  package mutating func add(folder: String) { add(folder, to: \.folders) }
  package mutating func add(object: String) { add(object, to: \.objects) }

  /// Adds a name of a listing.
  /// - Parameter name: the part after the prefix.
  package mutating func add(name: some StringProtocol) {
    if let slash = name.firstIndex(of: "/") {
      add(folder: String(name[..<slash]))
    } else {
      add(object: String(name))
    }
  }

  package mutating func sort() {
    folders.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    objects.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Listings are in order, so repeated names come in a row.
  private mutating func add(_ name: String, to names: WritableKeyPath<StoreFolder, [String]>) {
    let isSame = self[keyPath: names].last?.utf8.elementsEqual(name.utf8) ?? false
    guard !name.isEmpty, !isSame else { return }
    guard self[keyPath: names].count < StoreFolder.namesMax else {
      isCut = true
      return
    }
    self[keyPath: names].append(name)
  }
}

extension StoreFolder {
  /// Adds a page of a bucket's listing with a delimiter.
  /// - Parameters:
  ///   - folders: full keys with "/" at the end.
  ///   - objects: full keys.
  ///   - prefix: the listed prefix, in the form in which keys begin with it.
  /// - Throws: `.storeUnavailable`, retryable, if the page contains something that was not requested, or if the
  ///   pages repeat.
  package mutating func add(
    folders: [String], objects: [String], below prefix: String, location: String
  ) throws(LifeboatError) {
    try notePage(beginning: folders.first ?? objects.first, location)
    for (name, isFolder) in folders.map({ ($0, true) }) + objects.map({ ($0, false) }) {
      guard name.utf8.starts(with: prefix.utf8) else {
        throw LifeboatError(
          .storeUnavailable, "the listing of \(location) contains objects that were not requested",
          cause: printable(name), isRetryable: true)
      }
      var rest = String(decoding: name.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
      if isFolder {
        if rest.hasSuffix("/") { rest.removeLast() }
        add(folder: rest)
      } else if !rest.hasSuffix("/") {
        // A gateway that ignores the delimiter returns longer names.
        add(name: rest)
      }
    }
  }

  /// A folder with many objects may be on several pages in a row. A page that begins like an earlier one is
  /// that page again.
  private mutating func notePage(beginning: String?, _ location: String) throws(LifeboatError) {
    if let beginning, beginnings.insert(beginning).inserted {
      (lastBeginning, idlePages) = (beginning, 0)
      return
    }
    if let beginning, beginning != lastBeginning {
      throw endlessListing(location, "two pages begin with \(printable(beginning))")
    }
    idlePages += 1
    guard idlePages <= emptyPagesMax else {
      throw endlessListing(location, "\(counted(idlePages, "page")) in a row without a new name")
    }
  }

  package func endless(_ location: String) -> LifeboatError {
    endlessListing(location, "a page's continuation is the page itself")
  }
}

extension ObjectStore {
  /// For stores without a better way: uses a complete listing.
  package func folder(_ prefix: String) async throws -> StoreFolder {
    try await listedFolder(prefix)
  }

  func listedFolder(_ prefix: String) async throws -> StoreFolder {
    var folder = StoreFolder()
    try await eachPage(prefix: prefix) { page in
      for entry in page.entries {
        folder.add(
          name: String(decoding: entry.name.utf8.dropFirst(prefix.utf8.count), as: UTF8.self))
      }
      return true
    }
    folder.sort()
    return folder
  }
}

/// A repository below a prefix of another store.
package struct StoreBelow: ObjectStore {
  private let base: any ObjectStore
  /// Ends with "/", unless it is empty.
  private let prefix: String

  /// - Parameter path: components separated by "/". Empty: the store itself.
  package init(_ base: any ObjectStore, path: String) {
    self.base = base
    prefix = path.isEmpty ? "" : path + "/"
  }

  package var location: String {
    prefix.isEmpty ? base.location : base.location + "/" + printable(String(prefix.dropLast()))
  }
  package var createsConditionally: Bool { base.createsConditionally }
  package var pagesAscend: Bool { base.pagesAscend }
  package var listsSideBySide: Bool { base.listsSideBySide }
  package func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    try await base.create(prefix + name, bytes)
  }
  package func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    try await base.read(prefix + name, limit: limit)
  }
  package func list(prefix: String, continuing: String?) async throws -> ListPage {
    let page = try await base.list(prefix: self.prefix + prefix, continuing: continuing)
    let skipped = self.prefix.utf8.count
    return ListPage(
      entries: page.entries.map { entry in
        var entry = entry
        entry.name = String(decoding: entry.name.utf8.dropFirst(skipped), as: UTF8.self)
        return entry
      }, next: page.next)
  }
  package func folder(_ prefix: String) async throws -> StoreFolder {
    try await base.folder(self.prefix + prefix)
  }
  package func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    let failures = try await base.delete(names.map { prefix + $0 })
    return Dictionary(
      failures.map { (String($0.key.dropFirst(prefix.count)), $0.value) }, uniquingKeysWith: { $1 })
  }
  package func now() async throws -> Instant? { try await base.now() }
  package func prepare() async throws { try await base.prepare() }
}
