package import BackupTypes
package import HistoryLogic
import ObjectStorage
import Synchronization

extension Repository {
  /// A complete listing of the repository, or of what is under `prefix`.
  ///
  /// - Parameters:
  ///   - youngAfter: objects that were written later are recorded as young.
  ///   - keepsLogTimes: whether the times of log objects are recorded.
  ///   - inOrder: one page after another. For those that delete or continue what is listed: they depend on no
  ///     more than the store's own listing.
  ///   - pagesMin: a bucket is listed in parts if it has more pages.
  package func catalogue(
    prefix: String = "", youngAfter: Instant? = nil, keepsLogTimes: Bool = false,
    inOrder: Bool = false, pagesMin: Int = ListingInParts.pagesMin
  ) async throws -> Catalogue {
    let empty = Catalogue(youngAfter: youngAfter, keepsLogTimes: keepsLogTimes)
    let listing = ListingInParts(store)
    let pagesMax = inOrder || !prefix.isEmpty || !store.listsSideBySide ? Int.max : pagesMin
    var catalogue = empty
    let begun = try await listing.begin(prefix: prefix, pagesMax) { catalogue.add($0) }
    if begun.isWhole { return catalogue }
    // The parts have everything once more.
    catalogue = empty
    let whole = Mutex(empty)
    try await listing.eachPageOfParts(begun) { page in whole.withLock { $0.add(page) } }
    return whole.withLock { $0 }
  }
}

/// A listing of a large repository in a bucket. A bucket returns its names a thousand at a time, one page after
/// another. So the parts of the repository, which its folders show, are listed side by side.
package struct ListingInParts: Sendable {
  /// Up to this many pages, looking for parts does not pay: folders and small parts take about as many requests
  /// one after another.
  package static let pagesMin = 16
  /// If there are this many parts, no more are looked for. Each takes a request at least.
  static let partsMax = 32
  /// The number of parts that are listed at the same time.
  static let width = 6

  /// How a listing in order began.
  struct Beginning {
    /// Whether there are no more names.
    var isWhole = true
    /// The names, unless these are all.
    var names: [String] = []
  }

  private let store: any ObjectStore

  init(_ store: any ObjectStore) { self.store = store }

  /// Lists the first pages in order.
  func begin(prefix: String, _ pagesMax: Int, take: (ListPage) -> Void) async throws -> Beginning {
    var beginning = Beginning()
    var pages = 0
    try await store.eachPage(prefix: prefix) { page in
      take(page)
      pages += 1
      if pagesMax < .max { beginning.names += page.entries.map(\.name) }
      beginning.isWhole = page.next == nil || pages < pagesMax
      return beginning.isWhole
    }
    return beginning
  }

  /// Lists all parts, several at a time. The pages of one part come in order.
  /// - Parameter begun: all its names have to be in the parts. If one isn't, the store's folders are not
  ///   complete, or the object was deleted. Then everything is one part, as it is if folders can't be listed.
  func eachPageOfParts(
    _ begun: Beginning, _ take: @escaping @Sendable (ListPage) -> Void
  ) async throws {
    var parts = [""]
    do {
      let found = try await self.parts()
      if ListingInParts.have(found, begun.names) { parts = found }
    } catch is LifeboatError {}
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (number, part) in parts.enumerated() {
        if number >= ListingInParts.width { try await group.next() }
        group.addTask {
          try await store.eachPage(prefix: part) { page in
            take(page)
            return true
          }
        }
      }
      try await group.waitForAll()
    }
  }

  /// Prefixes that together have every object once: the folders, the timelines, and the logs of timelines.
  /// In order.
  private func parts() async throws -> [String] {
    var parts = [""]
    for level in 0...3 {
      var split: [String] = []
      for (index, part) in parts.enumerated() {
        let isEnough = split.count + parts.count - index >= ListingInParts.partsMax
        split +=
          ListingInParts.isSplit(part, at: level) && !isEnough
          ? try await names(in: part).map { part + $0 } : [part]
      }
      parts = split
    }
    return parts
  }

  private static func isSplit(_ part: String, at level: Int) -> Bool {
    switch level {
    case 0: part.isEmpty
    case 1: part == "timelines/"
    case 2: part.hasPrefix("timelines/") && part.hasSuffix("/")
    default: part.hasPrefix("timelines/") && part.hasSuffix("/log/")
    }
  }

  /// The names in a folder, or what they begin with. An empty name is the whole folder.
  private func names(in folder: String) async throws -> [String] {
    let found = try await store.folder(folder)
    guard !found.isCut else { return [""] }
    return ListingInParts.beginnings(of: found.objects + found.folders.map { $0 + "/" })
  }

  /// The beginnings of names, as long as possible without being more than `partsMax`. Each name has one of
  /// them, and none is the beginning of another. In order.
  static func beginnings(of names: [String]) -> [String] {
    let sorted = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    func cut(to length: Int) -> [String] {
      sorted.reduce(into: []) { kept, name in
        let beginning = String(String.UnicodeScalarView(name.unicodeScalars.prefix(length)))
        if let last = kept.last, beginning.utf8.starts(with: last.utf8) { return }
        kept.append(beginning)
      }
    }
    // Longer beginnings are never fewer.
    let longest = sorted.map(\.unicodeScalars.count).max() ?? 0
    let tooMany = (0..<longest + 1).partitioningIndex { cut(to: $0).count > partsMax }
    return cut(to: tooMany - 1)
  }

  /// Whether each name begins with one of the parts, which are in order.
  private static func have(_ parts: [String], _ names: [String]) -> Bool {
    names.allSatisfy { name in
      let after = parts.partitioningIndex { name.utf8.lexicographicallyPrecedes($0.utf8) }
      return after > 0 && name.utf8.starts(with: parts[after - 1].utf8)
    }
  }
}

extension Catalogue {
  fileprivate mutating func add(_ page: ListPage) {
    for entry in page.entries { add(name: entry.name, size: entry.size, modified: entry.modified) }
  }
}
