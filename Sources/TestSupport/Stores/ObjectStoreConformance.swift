import BackupTypes
package import ObjectStorage

/// What every `ObjectStore` must do, as functions that throw a `Violation`. Each check in `all` needs a new,
/// empty, prepared store.
///
///     for check in ObjectStoreConformance.all {
///       try await check.run(makeStore())
///     }
package enum ObjectStoreConformance {
  package struct Check: Sendable, CustomStringConvertible {
    package var description: String
    package var run: @Sendable (any ObjectStore) async throws -> Void
  }

  package struct Violation: Error, CustomStringConvertible {
    package var description: String
  }

  package static let all: [Check] = [
    Check(description: "creates once and never overwrites", run: createsOnce),
    Check(description: "one of eight racing writers wins", run: oneOfRacingWritersWins),
    Check(description: "keeps binary and empty content", run: keepsContent),
    Check(description: "reads nil for what is absent", run: readsNilForAbsent),
    Check(description: "reads no more than the limit", run: readsWithinLimit),
    Check(description: "lists in byte order, with sizes", run: listsInOrder),
    Check(description: "lists by string prefix", run: listsByStringPrefix),
    Check(description: "lists one level", run: listsFolders),
    Check(description: "lists more than a page completely", run: listsManyPages),
    Check(description: "goes on from a name that is gone", run: goesOnFromDeleted),
    Check(description: "deletes, and absent is success", run: deletes),
    Check(description: "shows at once what was created or deleted", run: isVisibleAtOnce),
    Check(description: "takes every name we use", run: takesOurNames),
    Check(description: "refuses names that are none", run: refusesBadNames),
  ]

  static func require(
    _ condition: Bool, _ message: @autoclosure () -> String
  ) throws(Violation) {
    guard condition else { throw Violation(description: message()) }
  }

  /// Lists all pages and checks the rules for pages.
  package static func listAll(
    _ store: any ObjectStore, prefix: String
  ) async throws -> [ObjectEntry] {
    var entries: [ObjectEntry] = []
    var next: String?
    var pages = 0
    repeat {
      let page = try await store.list(prefix: prefix, continuing: next)
      try require(page.entries.count <= ListPage.entriesMax, "a page of \(page.entries.count)")
      let names = page.entries.map(\.name)
      for (a, b) in zip(names, names.dropFirst()) {
        try require(a.utf8.lexicographicallyPrecedes(b.utf8), "\(a) was listed before \(b)")
      }
      entries += page.entries
      next = page.next
      pages += 1
      try require(pages < 1000, "the listing of \"\(prefix)\" does not end")
    } while next != nil
    return entries
  }

  static func names(_ store: any ObjectStore, _ prefix: String) async throws -> [String] {
    try await listAll(store, prefix: prefix).map(\.name)
  }

  // MARK: Creating and reading

  package static func createsOnce(_ store: any ObjectStore) async throws {
    let first = try await store.create("a/b", [1, 2, 3])
    try require(first == .created, "the first create said \(first)")
    for bytes: [UInt8] in [[1, 2, 3], [4], []] {
      let again = try await store.create("a/b", bytes)
      try require(again == .exists, "creating again said \(again)")
      let content = try await store.read("a/b")
      try require(content == [1, 2, 3], "the content became \(content ?? [])")
    }
  }

  package static func oneOfRacingWritersWins(_ store: any ObjectStore) async throws {
    for round in 0..<10 {
      let name = "race/\(round)/claim"
      let winners = try await withThrowingTaskGroup(of: UInt8?.self) { group in
        for writer: UInt8 in 0..<8 {
          group.addTask {
            let bytes = [UInt8](repeating: writer, count: 4096)
            return try await store.create(name, bytes) == .created ? writer : nil
          }
        }
        return try await group.reduce(into: []) { $0 += $1.map { [$0] } ?? [] }
      }
      try require(winners.count == 1, "\(winners.count) writers of \(name) won")
      let content = try await store.read(name)
      try require(
        content == [UInt8](repeating: winners[0], count: 4096),
        "the content of \(name) is not the winner's")
    }
  }

  package static func keepsContent(_ store: any ObjectStore) async throws {
    let every = (0...255).map { UInt8($0) }
    let samples: [(String, [UInt8])] = [
      ("empty", []), ("zero", [0]), ("every", every), ("lines", Array("\r\n\n\u{0}".utf8)),
      ("piece", (0..<(4 << 20) + 1).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }),
    ]
    for (name, bytes) in samples {
      _ = try await store.create("content/" + name, bytes)
      let content = try await store.read("content/" + name)
      try require(
        content == bytes, "\(name): \(content?.count ?? -1) of \(bytes.count) bytes, or others")
    }
    let sizes = try await listAll(store, prefix: "content/").map { "\($0.name) \($0.size)" }
    let expected = samples.map { "content/\($0.0) \($0.1.count)" }.sorted()
    try require(sizes == expected, "the listing says \(sizes)")
  }

  package static func readsNilForAbsent(_ store: any ObjectStore) async throws {
    _ = try await store.create("a/b", [1])
    for name in ["x", "a", "a/c", "a/b/c", "a/b/c/d", "x/y/z", "A/b"] {
      let content = try await store.read(name)
      try require(content == nil, "\(name) was read though it is absent")
    }
  }

  package static func readsWithinLimit(_ store: any ObjectStore) async throws {
    let bytes = [UInt8](repeating: 7, count: 100_000)
    _ = try await store.create("limit/a", bytes)
    let whole = try await store.read("limit/a", limit: bytes.count)
    try require(whole == bytes, "an object as large as its limit was not read")
    for limit in [0, 1, bytes.count - 1] {
      do {
        let content = try await store.read("limit/a", limit: limit)
        throw Violation(description: "\(content?.count ?? 0) bytes were read, of \(limit) allowed")
      } catch let error as LifeboatError where error.code == .corrupt {}
    }
    // The server's error text can be longer than the limit.
    let absent = try await store.read("limit/b", limit: 1)
    try require(absent == nil, "an absent object was read")
    let (has, hasNot) = (
      try await store.has("limit/a", limit: 1), try await store.has("limit/b", limit: 1)
    )
    try require(has && !hasNot, "what is there is \(has), what is absent is \(hasNot)")
  }

  // MARK: Deleting

  package static func deletes(_ store: any ObjectStore) async throws {
    for name in ["a/1", "a/2", "b/c/d"] { _ = try await store.create(name, [1]) }
    let failures = try await store.delete(["a/1", "absent", "b/c/d", "a", "a/2/x", "no/such/way"])
    try require(failures.isEmpty, "deleting failed: \(failures)")
    let rest = try await names(store, "")
    try require(rest == ["a/2"], "after deleting there are \(rest)")
    let again = try await store.delete(["a/1", "a/2"])
    try require(again.isEmpty, "deleting again failed: \(again)")
    let none = try await store.delete([])
    try require(none.isEmpty, "deleting nothing failed: \(none)")
    let outcome = try await store.create("b/c/d", [2])
    try require(outcome == .created, "a deleted name can't be created again")
  }

  package static func isVisibleAtOnce(_ store: any ObjectStore) async throws {
    for number in 0..<20 {
      let name = "visible/\(number % 3)/\(number)"
      _ = try await store.create(name, [UInt8(number)])
      let (content, listed) = (try await store.read(name), try await names(store, name))
      try require(content == [UInt8(number)], "\(name) can't be read after it was created")
      try require(listed.contains(name), "\(name) is not listed after it was created")
      _ = try await store.delete([name])
      let (gone, unlisted) = (try await store.read(name), try await names(store, name))
      try require(gone == nil, "\(name) can be read after it was deleted")
      try require(!unlisted.contains(name), "\(name) is listed after it was deleted")
    }
  }

  // MARK: Names

  package static func takesOurNames(_ store: any ObjectStore) async throws {
    let digest = "0123456789abcdef0123456789abcdef"
    let names = [
      "generations/\(digest)-\(digest)/00000000-\(digest)", "generations/\(digest)-\(digest)/index",
      "keys/k.1_A~z", "lifeboat.json", "ops/pins/2026-11-22T14:02:07Z", "ops/quarantines/a+b=c@d,e",
      "timelines/00000001/claim",
      "timelines/00000001/log/0001/000000000000-000000004096-1795356127000-\(digest)",
      "timelines/00000001/snapshots/00000001", "with space/(x)!$&'",
      "x/" + String(repeating: "n", count: 255),
      "ünï/cødé",
    ]
    for name in names {
      let outcome = try await store.create(name, Array(name.utf8))
      try require(outcome == .created, "\(name) can't be created")
    }
    let listed = try await self.names(store, "")
    try require(listed == names, "listed as \(listed)")
    for name in names {
      let content = try await store.read(name)
      try require(content == Array(name.utf8), "\(name) can't be read")
    }
  }

  package static func refusesBadNames(_ store: any ObjectStore) async throws {
    let bad = [
      "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/./b", "a\u{0}b", ".lifeboat-tmp",
      "a/.lifeboat-tmp-1", String(repeating: "n", count: 256),
    ]
    for name in bad {
      do {
        _ = try await store.create(name, [1])
      } catch let error as LifeboatError where error.code == .corrupt {
        continue
      }
      throw Violation(description: "the name \"\(name)\" was taken")
    }
  }
}
