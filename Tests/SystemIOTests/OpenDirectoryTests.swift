import BackupTypes
import Glibc
import SystemIO
import SystemPackage
import Testing

@Suite struct OpenDirectoryTests {
  let scratch: Scratch
  var directory: OpenDirectory { scratch.directory }
  init() throws { scratch = try Scratch() }

  @Test(arguments: ["", ".", "..", "/", "a/b", "../x", "/etc/passwd", "a\u{0}b", "a/\u{301}b"])
  func refusesWhatIsNoName(_ name: String) throws {
    let directory = directory
    var attempts = 0
    func attempt(_ body: () throws -> Void) {
      attempts += 1
      do {
        try body()
        Issue.record("attempt \(attempts) went through")
      } catch {
        #expect((error as? LifeboatError)?.code == .corrupt, "attempt \(attempts): \(error)")
      }
    }
    attempt { _ = try directory.status(of: name) }
    attempt { _ = try directory.open(name) }
    attempt { _ = try directory.openDirectory(name) }
    attempt { _ = try directory.create(name, mode: 0o600) }
    attempt { try directory.makeDirectory(name, mode: 0o700) }
    attempt { try directory.rename(name, to: directory, as: "x", noReplace: true) }
    attempt { try directory.rename("x", to: directory, as: name, noReplace: false) }
    attempt { try directory.link(name, to: directory, as: "x") }
    attempt { try directory.link("x", to: directory, as: name) }
    attempt { try directory.remove(name) }
    attempt { try directory.removeDirectory(name) }
    attempt { try directory.removeTree(name) }
    attempt {
      _ = try DurableFile.createExclusively(name, in: directory, bytes: [], mode: 0o600)
    }
    attempt { try DurableFile.replace(name, in: directory, bytes: [], mode: 0o600) }
    #expect(try scratch.names.isEmpty)
  }

  @Test func entriesAreSortedByBytesAndHaveKinds() throws {
    for name in ["b", "a", "B", "é", "a-", "a0"] { try scratch.write(name, "") }
    try directory.makeDirectory("a.d", mode: 0o700)
    #expect(symlink("b", scratch.path("l").string) == 0)
    #expect(mkfifo(scratch.path("p").string, 0o600) == 0)
    let entries = try directory.entries()
    #expect(entries.map(\.name) == ["B", "a", "a-", "a.d", "a0", "b", "l", "p", "é"])
    #expect(entries[3].kind == .directory)
    #expect(entries[6].kind == .symlink && entries[7].kind == .other)
    // A second call starts from the beginning.
    #expect(try directory.entries() == entries)
  }

  @Test func aNameThatIsNotUTF8IsListedAndRemoved() throws {
    try directory.makeDirectory("d", mode: 0o700)
    let bytes: [CChar] =
      Array((scratch.path("d").string + "/").utf8CString.dropLast()) + [-1, 65, 0]
    let descriptor = Glibc.open(bytes, O_CREAT | O_WRONLY, 0o600)
    #expect(descriptor >= 0)
    close(descriptor)
    let entries = try #require(try directory.openDirectory("d")).entries()
    #expect(entries.map(\.isUTF8) == [false])
    #expect(try directory.removeTree("d"))
    #expect(try scratch.names.isEmpty)
  }

  @Test func absenceIsNilAndNotAnError() throws {
    #expect(try directory.status(of: "x") == nil)
    #expect(try directory.open("x") == nil)
    #expect(try directory.openDirectory("x") == nil)
    #expect(try directory.remove("x") == false)
    #expect(try directory.removeDirectory("x") == false)
    #expect(try directory.removeTree("x") == false)
  }

  @Test func symbolicLinksAreNeverFollowed() throws {
    let outside = try Scratch()
    try outside.write("kept", "content")
    #expect(symlink(outside.path.string, scratch.path("link").string) == 0)
    #expect(try directory.status(of: "link")?.kind == .symlink)
    #expect(failure { () throws(LifeboatError) in try directory.openDirectory("link") } != nil)
    #expect(
      failure { () throws(LifeboatError) in try directory.create("link", mode: 0o600) } != nil)
    try directory.makeDirectory("tree", mode: 0o700)
    #expect(symlink(outside.path.string, scratch.path("tree").string + "/link") == 0)
    #expect(try directory.removeTree("tree"))
    #expect(try directory.removeTree("link"))
    #expect(try outside.names == ["kept"])
    #expect(try scratch.names.isEmpty)
  }

  /// A server's files may be links if the owner of the link could have put the file there.
  @Test func linksOfAServerAreFollowedWithinTheirFileSystemAndOwner() throws {
    try scratch.write("file", "content")
    try directory.makeDirectory("real", mode: 0o700)
    for (name, target) in [
      ("link", "file"), ("inner", "real"), ("nowhere", "absent"), ("proc", "/proc/self/status"),
    ] {
      #expect(symlink(target, scratch.path(name).string) == 0)
    }
    let reader = try OpenDirectory(directory.path, followsLinks: true)
    #expect(try reader.status(of: "link") == reader.status(of: "file"))
    #expect(try reader.open("link")?.status().size == 7)
    #expect(try reader.status(of: "inner")?.kind == .directory)
    let inner = try #require(try reader.openDirectory("inner"))
    #expect(symlink("../file", scratch.path("real").string + "/outside") == 0)
    #expect(try inner.open("outside")?.status().size == 7)
    #expect(try reader.open("nowhere") == nil && reader.status(of: "nowhere") == nil)
    let other = failure { () throws(LifeboatError) in try reader.open("proc") }
    #expect(other?.code == .corrupt && other?.hint != nil, "\(String(describing: other))")
    #expect(try directory.status(of: "link")?.kind == .symlink)
    guard geteuid() == 0 else { return }
    #expect(lchown(scratch.path("link").string, 12345, 12345) == 0)
    let foreign = failure { () throws(LifeboatError) in try reader.open("link") }
    #expect(foreign?.description.contains("12345") == true, "\(String(describing: foreign))")
  }

  @Test func aDirectoryIsTheSameAfterItMoved() throws {
    try directory.makeDirectory("d", mode: 0o700)
    let inner = try #require(try directory.openDirectory("d"))
    let identity = try inner.identity()
    try directory.rename("d", to: directory, as: "e", noReplace: true)
    try directory.makeDirectory("d", mode: 0o700)
    _ = try inner.create("f", mode: 0o600)
    #expect(try directory.openDirectory("e")?.identity() == identity)
    #expect(try directory.openDirectory("e")?.entries().map(\.name) == ["f"])
    #expect(try directory.openDirectory("d")?.identity() != identity)
  }

  @Test func renameReplacesOnlyWhenAllowed() throws {
    try scratch.write("a", "A")
    try scratch.write("b", "B")
    let error = failure { () throws(LifeboatError) in
      try directory.rename("a", to: directory, as: "b", noReplace: true)
    }
    #expect(error?.code == .refused)
    #expect(try scratch.read("b") == "B")
    try directory.rename("a", to: directory, as: "b", noReplace: false)
    #expect(try scratch.read("b") == "A")
    #expect(try scratch.names == ["b"])
    let absent = failure { () throws(LifeboatError) in
      try directory.rename("a", to: directory, as: "c", noReplace: true)
    }
    #expect(absent?.code == .failure)
  }

  @Test func linkAddsANameAndNeverReplaces() throws {
    try scratch.write("a", "A")
    try directory.makeDirectory("d", mode: 0o700)
    let inner = try #require(try directory.openDirectory("d"))
    #expect(try directory.linkIfSupported("a", to: inner, as: "b"))
    #expect(try inner.status(of: "b")?.inode == directory.status(of: "a")?.inode)
    let error = failure { () throws(LifeboatError) in try directory.link("a", to: inner, as: "b") }
    #expect(error?.code == .refused)
    // No file system allows a hard link to a directory. The error is EPERM, as on file systems without links.
    #expect(try !directory.linkIfSupported("d", to: directory, as: "e"))
  }

  @Test func removeTreeRemovesEverything() throws {
    for _ in 0..<2 {
      var current = directory
      for depth in 0..<20 {
        try current.makeDirectory("d", mode: 0o700)
        current = try #require(try current.openDirectory("d"))
        for number in 0..<5 { _ = try current.create("f\(number)-\(depth)", mode: 0o600) }
      }
      #expect(try directory.removeTree("d"))
      #expect(try scratch.names.isEmpty)
    }
    try scratch.write("file", "")
    #expect(try directory.removeTree("file"))
  }

  @Test func aDirectoryThatIsNotThereOrNoneIsAnError() throws {
    try scratch.write("f", "")
    for name in ["absent", "f"] {
      let path = scratch.path(name)
      let error = failure { () throws(LifeboatError) in try OpenDirectory(path) }
      #expect(error?.message == "can't open the directory \(path)")
      #expect(error?.hint != nil)
    }
  }

  @Test func `a link to a directory is one, for who names it`() throws {
    let path = scratch.path
    try #require(mkdir("\(path)/inner", 0o755) == 0)
    try #require(symlink("inner", "\(path)/link") == 0)
    try #require(symlink("missing", "\(path)/dangling") == 0)
    try #require(symlink("/dev/null", "\(path)/file") == 0)
    #expect(FileStatus.isDirectory(path.appending("inner")))
    #expect(FileStatus.isDirectory(path.appending("link")))
    #expect(!FileStatus.isDirectory(path.appending("dangling")))
    #expect(!FileStatus.isDirectory(path.appending("file")))
  }
}
