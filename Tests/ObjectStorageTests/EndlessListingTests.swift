import BackupTypes
import ObjectStorage
import TestSupport
import Testing

/// A listing that never ends gives an error.
@Suite struct EndlessListingTests {
  /// A gateway that returns these pages for every request.
  private struct Gateway: ObjectStore {
    let location = "memory://gateway"
    var pagesAscend = true
    let page: @Sendable (String?) -> ListPage
    func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome { .created }
    func read(_ name: String, limit: Int) async throws -> [UInt8]? { nil }
    func list(prefix: String, continuing: String?) async throws -> ListPage { page(continuing) }
    func delete(_ names: [String]) async throws -> [String: LifeboatError] { [:] }
    func now() async throws -> Instant? { nil }
    func prepare() async throws {}
  }

  private func entry(_ name: String) -> ObjectEntry {
    ObjectEntry(name: name, size: 1, modified: Instant(milliseconds: 0))
  }

  @Test func `a page that continues with itself, in a circle, or with nothing for ever`() async {
    let pages: [@Sendable (String?) -> ListPage] = [
      { _ in ListPage(entries: [], next: "a") },
      { [entry] _ in ListPage(entries: [entry("x")], next: "a") },
      { [entry] token in ListPage(entries: [entry("x")], next: token == "a" ? "b" : "a") },
      { token in ListPage(entries: [], next: (token ?? "") + "a") },
    ]
    for page in pages {
      let error = await #expect(throws: LifeboatError.self) {
        try await Gateway(page: page).eachPage(prefix: "") { _ in true }
      }
      #expect(error?.code == .storeUnavailable && error?.message.contains("does not end") == true)
    }
  }

  @Test func `every entry once, and no more pages than asked for`() async throws {
    let gateway = Gateway { [entry] token in
      let number = Int(token ?? "0")!
      return ListPage(
        entries: number % 3 == 1 ? [] : [entry("n\(100 + number)")],
        next: number == 9 ? nil : "\(number + 1)")
    }
    var names: [String] = []
    try await gateway.eachPage(prefix: "") { page in
      names += page.entries.map(\.name)
      return true
    }
    #expect(names == [0, 2, 3, 5, 6, 8, 9].map { "n\(100 + $0)" })
    var pages = 0
    try await gateway.eachPage(prefix: "") { _ in
      pages += 1
      return pages < 2
    }
    #expect(pages == 2)
  }

  /// A store that sorts by components has pages that do not ascend. A repeated page is detected.
  @Test func `pages that do not ascend`() async throws {
    let names = ["log/1", "log/2", "log-before", "a"]
    var gateway = Gateway { [entry] token in
      let number = Int(token ?? "0")!
      return ListPage(
        entries: [entry(names[number % 4])], next: number == 3 ? nil : "\(number + 1)")
    }
    let refused = await #expect(throws: LifeboatError.self) {
      try await gateway.eachPage(prefix: "") { _ in true }
    }
    #expect(refused?.message.contains("does not end") == true)
    gateway.pagesAscend = false
    var seen: [String] = []
    try await gateway.eachPage(prefix: "") { page in
      seen += page.entries.map(\.name)
      return true
    }
    #expect(seen == names)
    // An endless listing.
    var circle = Gateway { [entry] token in
      let number = Int(token ?? "0")!
      return ListPage(entries: [entry(names[number % 4])], next: "\(number + 1)")
    }
    circle.pagesAscend = false
    let error = await #expect(throws: LifeboatError.self) {
      try await circle.eachPage(prefix: "") { _ in true }
    }
    #expect(error?.cause?.contains("two pages begin with log/1") == true)
  }

  /// One level of a bucket: its pages have folders, objects, both, or nothing.
  @Test func `pages of one level that repeat`() throws {
    func read(_ pages: [[String]]) throws -> StoreFolder {
      var folder = StoreFolder()
      for page in pages {
        try folder.add(folders: page, objects: [], below: "p/", location: "memory://gateway")
      }
      return folder
    }
    // A folder may be on several pages in a row.
    #expect(try read([["p/a/"], ["p/a/"], [], ["p/b/"]]).folders == ["a", "b"])
    let circle = #expect(throws: LifeboatError.self) {
      _ = try read([["p/a/"], ["p/b/"], ["p/a/"]])
    }
    #expect(circle?.code == .storeUnavailable)
    #expect(circle?.cause == "two pages begin with p/a/")
    for page in [[], ["p/a/"]] {
      let idle = #expect(throws: LifeboatError.self) {
        _ = try read([["p/a/"]] + Array(repeating: page, count: 1001))
      }
      #expect(idle?.cause == "1001 pages in a row without a new name")
    }
  }
}
