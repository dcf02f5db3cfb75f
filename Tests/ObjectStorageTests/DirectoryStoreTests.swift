import BackupTypes
import Glibc
import ObjectStorage
import SystemIO
import SystemPackage
import TestSupport
import Testing

@Suite struct DirectoryStoreTests {
  let scratch: TemporaryDirectory
  let root: FilePath
  let store: DirectoryStore

  init() async throws {
    scratch = try TemporaryDirectory()
    root = FilePath(scratch("repository"))
    store = DirectoryStore(root: root)
    try await store.prepare()
  }

  private func path(_ name: String) -> String { root.string + "/" + name }

  /// Runs every operation that needs the root, and returns the errors.
  private func failures(of store: DirectoryStore) async -> [LifeboatError?] {
    var result: [LifeboatError?] = []
    func attempt(_ body: () async throws -> Void) async {
      do {
        try await body()
        result.append(nil)
      } catch {
        result.append(error as? LifeboatError)
      }
    }
    await attempt { _ = try await store.read("a/b") }
    await attempt { _ = try await store.list(prefix: "", continuing: nil) }
    await attempt { _ = try await store.create("a/b", [1]) }
    await attempt { _ = try await store.delete(["a/b"]) }
    return result
  }

  @Test func anAbsentRootIsUnavailableAndNeverEmpty() async throws {
    let absent = DirectoryStore(root: FilePath(scratch("absent")))
    for failure in await failures(of: absent) {
      #expect(failure?.code == .storeUnavailable)
      #expect(failure?.message == "the repository file://\(scratch("absent")) does not exist")
      #expect(failure?.hint?.contains("mkdir -p") == true)
    }
    #expect(access(scratch("absent"), F_OK) != 0, "writing made a root that was not prepared")
  }

  @Test func `a root that may not be created says so, not that it does not exist`() async throws {
    // Even root can't create anything there.
    let store = DirectoryStore(root: "/proc/backups")
    do {
      try await store.prepare()
      Issue.record("prepared")
    } catch let error as LifeboatError {
      #expect(error.code == .storeUnavailable)
      #expect(error.message.contains("can't create the directory /proc/backups"), "\(error)")
    }
  }

  @Test func aRootThatIsAFileIsUnavailable() async throws {
    _ = try await store.create("file", [1])
    for failure in await failures(of: DirectoryStore(root: root.appending("file"))) {
      #expect(failure?.code == .storeUnavailable)
    }
    let below = DirectoryStore(root: root.appending("file/x"))
    for failure in await failures(of: below) { #expect(failure?.code == .storeUnavailable) }
    await #expect(throws: LifeboatError.self) { try await below.prepare() }
  }

  @Test func preparingMakesTheRootButNotWhatIsAboveIt() async throws {
    let deep = DirectoryStore(root: FilePath(scratch("not/mounted")))
    do {
      try await deep.prepare()
      Issue.record("prepared without the directory above")
    } catch let error as LifeboatError {
      #expect(error.code == .storeUnavailable)
      #expect(error.hint?.contains("mounted") == true)
    }
    try await store.prepare()
    #expect(try await store.list(prefix: "", continuing: nil).entries.isEmpty)
    #expect(try await store.now() == nil)
    #expect(store.location == "file://\(root)")
  }

  @Test func whatKilledWritersLeftIsIgnored() async throws {
    _ = try await store.create("log/1", [1])
    // The temporary files of a crash between the write and the rename, also in a new directory.
    for name in [".lifeboat-tmp-0123", "log/.lifeboat-tmp-4567"] {
      let file = try OpenFile(creating: FilePath(path(name)), mode: 0o600)
      try [9 as UInt8].withUnsafeBytes { try file.write($0, at: 0) }
    }
    #expect(mkdir(path("empty"), 0o755) == 0)
    #expect(try await ObjectStoreConformance.listAll(store, prefix: "").map(\.name) == ["log/1"])
    #expect(try await store.create("empty/1", [2]) == .created)
    #expect(try await store.create("log/1", [2]) == .exists)
  }

  @Test func createLeavesNoTemporaryFiles() async throws {
    for _ in 0..<2 { _ = try await store.create("a/b", [1]) }
    #expect(try OpenDirectory(root.appending("a")).entries().map(\.name) == ["b"])
  }

  @Test func symbolicLinksInsideAreNotFollowed() async throws {
    let outside = try TemporaryDirectory()
    let secret = DirectoryStore(root: FilePath(outside.path))
    _ = try await secret.create("secret", [42])
    #expect(symlink(outside.path, path("linked")) == 0)
    #expect(symlink(outside("secret"), path("file")) == 0)
    #expect(try await store.list(prefix: "", continuing: nil).entries.isEmpty)
    for name in ["linked/secret", "file"] {
      await #expect(throws: LifeboatError.self) { try await store.read(name) }
    }
    await #expect(throws: LifeboatError.self) { try await store.create("linked/new", [1]) }
    #expect(try await store.create("file", [1]) == .exists)
    #expect(try await store.delete(["linked/secret"]).keys.sorted() == ["linked/secret"])
    #expect(try await secret.read("secret") == [42])
    #expect(try OpenDirectory(FilePath(outside.path)).entries().map(\.name) == ["secret"])
  }

  @Test func anObjectThatIsTooLargeIsCorrupt() async throws {
    let file = try OpenFile(creating: FilePath(path("large")), mode: 0o600)
    try file.truncate(to: UInt64(objectByteCountMax) + 1)
    do {
      _ = try await store.read("large")
      Issue.record("read")
    } catch let error as LifeboatError {
      #expect(error.code == .corrupt)
    }
    let entry = try await store.list(prefix: "", continuing: nil).entries.first
    #expect(entry?.size == objectByteCountMax + 1)
  }

  @Test func emptyDirectoriesGoWithTheirLastObject() async throws {
    for name in ["a/b/c/1", "a/b/c/2", "a/x"] { _ = try await store.create(name, [1]) }
    _ = try await store.delete(["a/b/c/1"])
    #expect(access(path("a/b/c"), F_OK) == 0)
    _ = try await store.delete(["a/b/c/2"])
    #expect(access(path("a/b"), F_OK) != 0 && access(path("a"), F_OK) == 0)
    _ = try await store.delete(["a/x"])
    #expect(access(path("a"), F_OK) != 0 && access(root.string, F_OK) == 0)
  }

  /// The store caches the names of a directory for the pages after the second one.
  @Test func pagesThatFollowEachOtherAreTheSameAsPagesOfTheirOwn() async throws {
    var names: [String] = []
    for directory in ["a", "a/b", "a-b", "a0", "log"] {
      #expect(mkdir(path(directory), 0o700) == 0)
      for number in 0..<900 { names.append("\(directory)/\(number % 7)-\(number)") }
    }
    for name in names { close(open(path(name), O_CREAT | O_WRONLY, 0o600)) }
    names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    for prefix in ["", "a", "a/", "log/3", "a/b/"] {
      var (listed, pages): ([String], Int) = ([], 0)
      var cursor: String?
      repeat {
        let page = try await store.list(prefix: prefix, continuing: cursor)
        let alone = try await DirectoryStore(root: root).list(prefix: prefix, continuing: cursor)
        #expect(
          page.entries == alone.entries && page.next == alone.next, "\(prefix), page \(pages)")
        listed += page.entries.map(\.name)
        cursor = page.next
        pages += 1
        // A deleted object is not listed, although its name was read before.
        if let last = names.last(where: { $0.hasPrefix(prefix) }), !listed.contains(last) {
          #expect(unlink(path(last)) == 0)
          names.removeAll { $0 == last }
        }
      } while cursor != nil
      #expect(listed == names.filter { $0.hasPrefix(prefix) }, "\(prefix)")
    }
  }

  @Test func creatorsAndDeletersOfOneDirectoryGetAlong() async throws {
    let other = DirectoryStore(root: root)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (number, store) in [store, other, store, other].enumerated() {
        group.addTask {
          for round in 0..<50 {
            let name = "shared/deep/\(number)-\(round)"
            let outcome = try await store.create(name, [1])
            #expect(outcome == .created)
            let failures = try await store.delete([name])
            #expect(failures.isEmpty)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try await store.list(prefix: "", continuing: nil).entries.isEmpty)
  }

  @Test func foreignThingsAreNotObjects() async throws {
    #expect(mkdir(path("lost+found"), 0o700) == 0)
    #expect(mkfifo(path("fifo"), 0o600) == 0)
    let raw: [CChar] = Array((root.string + "/").utf8CString.dropLast()) + [-1, 0]
    close(open(raw, O_CREAT | O_WRONLY, 0o600))
    #expect(try await store.list(prefix: "", continuing: nil).entries.isEmpty)
    await #expect(throws: LifeboatError.self) { try await store.read("fifo") }
    await #expect(throws: LifeboatError.self) { try await store.create("lost+found/x", [1]) }
  }

  @Test func deniedIsUnavailable() async throws {
    // Root may read everything, so there is no way to make the kernel deny access.
    guard geteuid() != 0 else { return }
    #expect(chmod(root.string, 0) == 0)
    for failure in await failures(of: store) { #expect(failure?.code == .storeUnavailable) }
    #expect(chmod(root.string, 0o755) == 0)
  }
}
