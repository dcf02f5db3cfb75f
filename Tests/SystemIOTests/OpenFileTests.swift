import BackupTypes
import Glibc
import SystemIO
import SystemPackage
import Testing

@Suite struct OpenFileTests {
  let scratch: Scratch
  init() throws { scratch = try Scratch() }

  private func write(_ file: OpenFile, _ bytes: [UInt8], at offset: UInt64) throws {
    try bytes.withUnsafeBytes { try file.write($0, at: offset) }
  }
  private func read(_ file: OpenFile, _ count: Int, at offset: UInt64) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xee, count: count)
    let done = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: offset) }
    return Array(bytes.prefix(done))
  }

  @Test func readsAndWritesAtOffsets() throws {
    let file = try OpenFile(creating: scratch.path("f"), mode: 0o640)
    try write(file, [1, 2, 3, 4, 5], at: 0)
    try write(file, [9], at: 7)
    try file.synchronize()
    #expect(try read(file, 100, at: 0) == [1, 2, 3, 4, 5, 0, 0, 9])
    #expect(try read(file, 2, at: 3) == [4, 5])
    #expect(try read(file, 2, at: 8).isEmpty)
    #expect(try read(file, 0, at: 0).isEmpty)
    try file.truncate(to: 2)
    #expect(try file.readAll(limit: 2) == [1, 2])
    #expect(failure { () throws(LifeboatError) in try file.readAll(limit: 1) }?.code == .corrupt)
    #expect(try file.status().size == 2)
    file.adviseSequential()
    file.dropCache(upTo: 2)
    #expect(try file.readAll(limit: 10) == [1, 2])
  }

  @Test func largeContentIsWrittenAndReadWhole() throws {
    let bytes = (0..<(3 << 20) + 17).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    let file = try OpenFile(creating: scratch.path("f"), mode: 0o600)
    try write(file, bytes, at: 0)
    #expect(try OpenFile(reading: scratch.path("f")).readAll(limit: 4 << 20) == bytes)
  }

  @Test func anOpenFileOutlivesItsName() throws {
    try scratch.write("f", "pinned")
    let file = try OpenFile(reading: scratch.path("f"))
    try scratch.directory.remove("f")
    #expect(try file.readAll(limit: 100) == Array("pinned".utf8))
    #expect(try file.status().links == 0)
  }

  @Test func statusTellsWhatStatTells() throws {
    let before = SystemClock.now()
    let file = try OpenFile(creating: scratch.path("f"), mode: 0o600)
    try file.setPermissions(0o4755)
    try scratch.directory.link("f", to: scratch.directory, as: "g")
    let status = try file.status()
    var raw = stat()
    #expect(lstat(scratch.path("g").string, &raw) == 0)
    #expect(status.inode == UInt64(raw.st_ino) && status.device == UInt64(raw.st_dev))
    #expect(status.mode == 0o4755 && status.kind == .regular && status.links == 2)
    #expect(status.owner == getuid() && status.group == raw.st_gid)
    #expect(status.modified.instant.since(before) > -1000)
    if let born = status.born { #expect(born <= status.changed) }
    #expect(try scratch.directory.status(of: "g") == status)
    #expect(try FileStatus.at(scratch.path("g")) == status)
    #expect(try FileStatus.at(scratch.path("absent")) == nil)
  }

  @Test func errorsNameTheFileAndTheWayOut() throws {
    let absent = failure { () throws(LifeboatError) in try OpenFile(reading: scratch.path("no")) }
    #expect(absent?.message == "can't open \(scratch.path("no"))")
    #expect(absent?.code == .failure && absent?.hint != nil && absent?.isRetryable == false)
    _ = try OpenFile(creating: scratch.path("f"), mode: 0o600)
    let exists = failure { () throws(LifeboatError) in
      try OpenFile(creating: scratch.path("f"), mode: 0o600)
    }
    #expect(exists?.code == .refused)
    let full = failure { () throws(LifeboatError) in
      let file = try OpenFile(openReadWrite: scratch.path("f"))
      try file.truncate(to: .max)
    }
    #expect(full?.code == .corrupt)
  }

  @Test func errorNumbersHaveTheirMeaning() throws {
    let error = LifeboatError(.noSpace, action: "write", path: "/data/x")
    #expect(error.code == .noRoom && !error.isRetryable)
    #expect(LifeboatError(.diskQuotaExceeded, action: "write", path: "/x").code == .noRoom)
    #expect(LifeboatError(.ioError, action: "read", path: "/x").isRetryable)
    #expect(LifeboatError(.staleNFSFileHandle, action: "read", path: "/x").isRetryable)
    #expect(LifeboatError(.permissionDenied, action: "open", path: "/x").hint != nil)
    #expect(LifeboatError(.readOnlyFileSystem, action: "create", path: "/x").hint != nil)
    #expect(error.description.contains("No space left on device"))
  }

  @Test func onlyRegularFilesAreOpenedUnlessLinksAreFollowed() throws {
    try scratch.write("f", "content")
    #expect(symlink("f", scratch.path("link").string) == 0)
    #expect(mkfifo(scratch.path("fifo").string, 0o600) == 0)
    try scratch.directory.makeDirectory("d", mode: 0o700)
    for name in ["link", "fifo", "d"] {
      let path = scratch.path(name)
      let error = failure { () throws(LifeboatError) in try OpenFile(reading: path) }
      #expect(error?.code == .corrupt, "\(name)")
      let inside = failure { () throws(LifeboatError) in try scratch.directory.open(name) }
      #expect(inside?.code == .corrupt, "\(name)")
    }
    let followed = try OpenFile(reading: scratch.path("link"), links: .follow)
    #expect(try followed.readAll(limit: 100) == Array("content".utf8))
  }

  @Test func filesWithoutASizeAreReadWhole() throws {
    let status = try OpenFile(reading: "/proc/self/status").readAll(limit: 1 << 20)
    #expect(String(decoding: status, as: UTF8.self).contains("VmRSS"))
    #expect(
      failure { () throws(LifeboatError) in
        try OpenFile(reading: "/proc/self/status").readAll(limit: 10)
      }?.code == .corrupt)
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    #expect(Glibc.write(ends[1], "secret", 6) == 6)
    close(ends[1])
    let pipe = try OpenFile(reading: FilePath("/dev/fd/\(ends[0])"), links: .follow)
    #expect(try pipe.readAll(limit: 100) == Array("secret".utf8))
    close(ends[0])
  }
}
