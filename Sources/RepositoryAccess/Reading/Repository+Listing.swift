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
  package func catalogue(
    prefix: String = "", youngAfter: Instant? = nil, keepsLogTimes: Bool = false,
    inOrder: Bool = false
  ) async throws -> Catalogue {
    let empty = Catalogue(youngAfter: youngAfter, keepsLogTimes: keepsLogTimes)
    let listing = ListingInParts(store)
    let pagesMax =
      inOrder || !prefix.isEmpty || !store.listsSideBySide ? Int.max : ListingInParts.pagesMin
    var catalogue = empty
    if try await listing.begin(prefix: prefix, pagesMax, take: { catalogue.add($0) }) {
      return catalogue
    }
    let whole = Mutex(empty)
    try await listing.eachPageOfParts { page in whole.withLock { $0.add(page) } }
    return whole.withLock { $0 }
  }
}

/// A listing of a large repository in a bucket. A bucket returns its names a thousand at a time, one page after
/// another. So the parts of the repository, which its folders show, are listed side by side.
struct ListingInParts: Sendable {
  /// Below this many pages, looking for parts is not worth the requests.
  static let pagesMin = 5
  /// No more parts are looked for when there are this many. Each takes a request at least.
  static let partsMax = 32
  /// Parts that are listed at the same time.
  static let width = 6

  private let store: any ObjectStore

  init(_ store: any ObjectStore) { self.store = store }

  /// Lists in order, up to so many pages. Returns whether that is all.
  func begin(prefix: String, _ pagesMax: Int, take: (ListPage) -> Void) async throws -> Bool {
    var pages = 0
    var isWhole = true
    try await store.eachPage(prefix: prefix) { page in
      take(page)
      pages += 1
      isWhole = page.next == nil || pages < pagesMax
      return isWhole
    }
    return isWhole
  }

  /// Lists all parts, several at a time. The pages of one part come in order.
  func eachPageOfParts(_ take: @escaping @Sendable (ListPage) -> Void) async throws {
    let parts = try await parts()
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

  /// The names in a folder, or the beginnings of them that they have in common, if there are many. None is the
  /// beginning of another.
  private func names(in folder: String) async throws -> [String] {
    let found = try await store.folder(folder)
    guard !found.isCut else { return [""] }
    var names = found.objects + found.folders.map { $0 + "/" }
    while true {
      names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      names = names.reduce(into: []) { kept, name in
        if let last = kept.last, name.utf8.starts(with: last.utf8) { return }
        kept.append(name)
      }
      guard names.count > ListingInParts.partsMax else { return names }
      names = names.map { String($0.dropLast()) }
    }
  }
}

extension Catalogue {
  fileprivate mutating func add(_ page: ListPage) {
    for entry in page.entries { add(name: entry.name, size: entry.size, modified: entry.modified) }
  }
}
