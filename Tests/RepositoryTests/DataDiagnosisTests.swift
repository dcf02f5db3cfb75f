import BackupTypes
import Glibc
import HistoryLogic
import Recovery
import RepositoryAccess
import Shipping
import SystemPackage
import TestSupport
import Testing

/// `doctor` on real directories: the facts that it collects, and every line that it prints.
@Suite struct DataDiagnosisTests {
  private let folder: TemporaryDirectory
  private var data: String { folder("data") }

  init() throws {
    folder = try TemporaryDirectory("diagnosis")
    try TestFiles.makeDirectory(folder("data"))
  }

  /// A dump of Redis 7.0.15 with a string, a list and a hash.
  private static let dump = bytes(
    hexadecimal: """
      524544495330303130 fa09 72656469732d766572 06 372e302e3135
      fa0a 72656469732d62697473 c040 fa05 6374696d65 c22d5d036b
      fa08 757365642d6d656d c2d8d70f00 fa08 616f662d62617365 c000
      fe00 fb0300 0001 61 c001 12016c 01 02 09 090000000100 0101ff
      10 0168 0d 0d00000002008166 02 8176 02 ff
      ff 44fb4e22b99b3e88
      """.filter { !$0.isWhitespace })
  private static let command = Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n".utf8)

  private func findings(
    _ setting: AppendOnly = .unknown, names: ServerNames = ServerNames()
  ) -> [Finding] {
    DataDiagnosis(FilePath(data), names: names, appendOnly: setting).findings()
  }

  private func one(_ check: String, _ findings: [Finding]) throws -> Finding {
    let found = findings.filter { $0.check == check }
    #expect(found.count == 1, "\(check): \(findings)")
    return try #require(found.first)
  }

  private func writeAOF(
    _ directory: String = "appendonlydir", name: String = "appendonly.aof",
    first: [UInt8] = command, last: [UInt8] = command
  ) throws {
    let path = data + "/" + directory
    try TestFiles.makeDirectory(path)
    try TestFiles.write(first, to: path + "/\(name).1.incr.aof")
    try TestFiles.write(last, to: path + "/\(name).2.incr.aof")
    try TestFiles.write(
      "file \(name).1.incr.aof seq 1 type i\nfile \(name).2.incr.aof seq 2 type i\n",
      to: path + "/\(name).manifest")
  }

  @Test func `an empty directory, and a good one`() throws {
    let empty = findings()
    #expect(try one("content", empty).verdict == .note && one("readable", empty).verdict == .note)
    try writeAOF()
    try TestFiles.write(try #require(Self.dump), to: data + "/dump.rdb")
    let good = findings()
    #expect(try one("content", good).verdict == .ok, "\(good)")
    #expect(try one("readable", good).verdict == .ok, "\(good)")
  }

  @Test(arguments: [1, 6, 4096, 3 << 20])
  func `NULs behind the last command are counted, and fail`(count: Int) throws {
    try writeAOF(last: Self.command + [UInt8](repeating: 0, count: count))
    let found = try one("content", findings())
    #expect(found.verdict == .failed && found.code == .corrupt, "\(found)")
    #expect(
      found.detail.contains(
        "appendonly.aof.2.incr.aof can't be loaded: after its last command, at ")
        && found.detail.contains("it ends in \(count) NUL bytes"), "\(found)")
    // `inspect` does not say that a server loads it either.
    let seen = try DirectoryInspection.make(FilePath(data), names: ServerNames())
    #expect(!seen.isSound && !seen.withAppendonlyYes.contains("loads"), "\(seen.text)")
  }

  @Test func `junk behind the first command is found, a torn tail is nothing`() throws {
    try writeAOF(last: Self.command + Array("junk".utf8) + Self.command)
    #expect(try one("content", findings(.yes)).detail.contains("garbage"))
    try writeAOF(last: Self.command + Self.command.dropLast(4))
    #expect(try one("content", findings(.yes)).verdict == .ok)
    try writeAOF(first: Self.command.dropLast(4))
    #expect(try one("content", findings(.yes)).detail.contains("and is not the last file"))
  }

  @Test func `a dump that is cut off or changed behind its first key fails`() throws {
    let whole = try #require(Self.dump)
    try TestFiles.write(whole, to: data + "/dump.rdb")
    #expect(try one("content", findings(.no)).verdict == .ok)
    try TestFiles.write(Array(whole.dropLast(20)), to: data + "/dump.rdb")
    #expect(try one("content", findings(.no)).verdict == .failed)
    var flipped = whole
    flipped[whole.count - 12] ^= 1
    try TestFiles.write(flipped, to: data + "/dump.rdb")
    #expect(try one("content", findings(.no)).detail.contains("does not start"))
  }

  @Test func `a dump of a server that we do not know is nothing bad`() throws {
    // A later version, a type that no current release has, and no checksum.
    let bytes = Array("REDIS0099".utf8) + [0xf0, 1, 2, 3] + [UInt8](repeating: 0, count: 8)
    try TestFiles.write(bytes, to: data + "/dump.rdb")
    #expect(try one("content", findings(.no)).verdict == .ok)
  }

  @Test func `an AOF directory that was renamed, removed, or is another's`() throws {
    try writeAOF("appendonlydir.old")
    let renamed = findings(.yes)
    #expect(try one("aof-directory", renamed).verdict == .warning)
    #expect(
      try one("names", renamed).remedy
        == "if Redis writes it, pass --appenddirname appendonlydir.old")
    #expect(try one("names", renamed).verdict == .failed)
    var names = ServerNames()
    names.appendDirectory = "appendonlydir.old"
    #expect(!findings(.yes, names: names).contains { $0.verdict > .ok && $0.check != "space" })
    try writeAOF(name: "other.aof")
    let other = findings(.yes)
    #expect(
      other.contains { $0.remedy == "if Redis writes it, pass --appendfilename other.aof" },
      "\(other)")
    #expect(!other.contains { $0.detail.contains("no manifest lists") }, "another one does")
  }

  @Test func `only what a server leaves behind`() throws {
    try TestFiles.write("x", to: data + "/temp-77.rdb")
    try TestFiles.write("x", to: data + "/temp-rewriteaof-78.aof")
    try TestFiles.makeDirectory(data + "/lost+found")
    let found = try one("leftovers", findings())
    #expect(found.detail.contains("temp-77.rdb and 1 more"), "\(found)")
  }

  @Test func `other names are told by what the files begin with`() throws {
    try TestFiles.write(try #require(Self.dump), to: data + "/snapshot.rdb")
    try TestFiles.write(Self.command, to: data + "/my.aof")
    for name in ["notes.txt", "nodes.conf", "redis.log"] {
      try TestFiles.write("*** nothing of Redis's", to: data + "/" + name)
    }
    let alone = findings().filter { $0.check == "names" }
    #expect(alone.count == 2 && alone.allSatisfy { $0.verdict == .failed }, "\(alone)")
    #expect(
      alone.compactMap(\.remedy) == [
        "if Redis writes it, pass --appendfilename my.aof",
        "if Redis writes it, pass --dbfilename snapshot.rdb",
      ])
    // A copy that is older than Redis's data is not a problem.
    try TestFiles.write(try #require(Self.dump), to: data + "/dump.rdb")
    for name in ["snapshot.rdb", "my.aof"] {
      var times = [
        timeval(tv_sec: 1_700_000_000, tv_usec: 0), timeval(tv_sec: 1_700_000_000, tv_usec: 0),
      ]
      #expect(utimes(data + "/" + name, &times) == 0)
    }
    let copies = findings().filter { $0.check == "names" }
    #expect(copies.map(\.verdict) == [.note, .note], "\(copies)")
  }

  @Test func `a thousand names are looked at, and no more`() throws {
    for number in 0..<1200 { try TestFiles.write("x", to: data + "/file-\(number)") }
    #expect(findings().contains { $0.detail.contains("more files than are checked") })
  }

  @Test func `a file that may not be read is said so, and not called broken`() throws {
    try writeAOF()
    let file = data + "/appendonlydir/appendonly.aof.2.incr.aof"
    #expect(chmod(file, 0) == 0)
    guard (try? TestFiles.read(file)) == nil else { return }  // root reads everything
    let found = findings()
    #expect(try one("content", found).detail.contains("Permission denied"), "\(found)")
    #expect(!found.contains { $0.detail.contains("does not start") })
  }
}
