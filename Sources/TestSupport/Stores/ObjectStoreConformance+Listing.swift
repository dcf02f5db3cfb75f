package import ObjectStorage

extension ObjectStoreConformance {
  package static func listsInOrder(_ store: any ObjectStore) async throws {
    // "-" < "." < "/" < "0": a directory must not be sorted by its bare name.
    let names = ["a", "a-b/c", "a.b", "b-", "b/-", "b/a/z", "b/a0", "b0", "bé"]
    for name in names.shuffled() {
      _ = try await store.create(name, Array(repeating: 7, count: name.utf8.count))
    }
    let expected = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let entries = try await listAll(store, prefix: "")
    try require(entries.map(\.name) == expected, "listed as \(entries.map(\.name))")
    for entry in entries {
      try require(entry.size == entry.name.utf8.count, "\(entry.name) has \(entry.size) bytes")
    }
  }

  package static func listsByStringPrefix(_ store: any ObjectStore) async throws {
    let all = ["a/b", "a/bc", "ab/x", "ab/y/z", "b/a"]
    for name in all { _ = try await store.create(name, [1]) }
    for prefix in [
      "", "a", "a/", "a/b", "a/bc", "a/bcd", "ab", "ab/y", "ab/y/", "b", "c", "/", "a//",
    ] {
      let expected = all.filter { $0.utf8.starts(with: prefix.utf8) }
      let listed = try await names(store, prefix)
      try require(listed == expected, "\"\(prefix)\" listed \(listed) instead of \(expected)")
    }
  }

  package static func listsFolders(_ store: any ObjectStore) async throws {
    for name in ["a-b/c", "a/b/c", "a/b/d", "a/e", "b/c/d/e", "a0"] {
      _ = try await store.create(name, [1])
    }
    for (prefix, folders, objects) in [
      ("", ["a", "a-b", "b"], ["a0"]), ("a/", ["b"], ["e"]), ("a/b/", [], ["c", "d"]),
      ("b/", ["c"], []), ("c/", [], []),
    ] {
      let folder = try await store.folder(prefix)
      try require(
        folder.folders == folders && folder.objects == objects && !folder.isCut,
        "below \"\(prefix)\": \(folder)")
    }
  }

  package static func listsManyPages(_ store: any ObjectStore) async throws {
    var expected: [String] = []
    for number in 0..<2300 { expected.append("log/\(String(10_000 + number))-x") }
    for number in 0..<120 { expected.append("many/\(number)/index") }
    expected += ["log-before", "log0after", "mid", "zlast/a/b/c/d"]
    try await createAll(expected, in: store)
    expected.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    for prefix in ["", "log", "log/", "log/1", "log/12", "m", "many/1", "zlast/a/b"] {
      let wanted = expected.filter { $0.utf8.starts(with: prefix.utf8) }
      let listed = try await names(store, prefix)
      try require(
        listed == wanted, "\"\(prefix)\" listed \(listed.count) names of \(wanted.count), or others"
      )
    }
  }

  package static func goesOnFromDeleted(_ store: any ObjectStore) async throws {
    let all = (0..<1500).map { "d/\(10_000 + $0)/x" }
    try await createAll(all, in: store)
    let first = try await store.list(prefix: "d/", continuing: nil)
    try require(first.next != nil, "1500 names came in one page")
    let done = first.entries.map(\.name)
    _ = try await store.delete(Array(done.suffix(3)))
    var rest: [String] = []
    var next = first.next
    while let token = next {
      let page = try await store.list(prefix: "d/", continuing: token)
      rest += page.entries.map(\.name)
      next = page.next
    }
    try require(done + rest == all, "\(done.count) and \(rest.count) names instead of 1500")
  }

  /// Eight at a time, because a durable create may take milliseconds.
  private static func createAll(_ names: [String], in store: any ObjectStore) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for part in 0..<8 {
        group.addTask {
          for index in stride(from: part, to: names.count, by: 8) {
            _ = try await store.create(names[index], [1])
          }
        }
      }
      try await group.waitForAll()
    }
  }
}
