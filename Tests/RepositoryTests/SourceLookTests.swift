import Auditing
import BackupTypes
import RepositoryAccess
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// What the auditor finds when it looks at a directory.
@Suite struct SourceLookTests {
  private let directory: TemporaryDirectory
  private let command = LogBytes.command("SET k v")

  init() throws { directory = try TemporaryDirectory("look") }

  private func makeSet(_ name: String) throws {
    let inner = directory(name) + "/appendonlydir"
    try TestFiles.makeDirectory(inner)
    try TestFiles.write(command, to: inner + "/appendonly.aof.1.incr.aof")
    try TestFiles.write(
      "file appendonly.aof.1.incr.aof seq 1 type i\n",
      to: inner + "/appendonly.aof.manifest")
  }

  /// A copy of the volume is mounted in place of the old one, but the server still writes to the old one.
  @Test func `a file that lost its name and grows is noticed`() throws {
    try makeSet("data")
    try makeSet("copy")
    let data = directory("data")
    var look = SourceLook(FilePath(data), names: ServerNames(), time: SystemClock())
    #expect(try look.sample().outOfSight == nil)
    try TestFiles.rename(data, to: directory("old"))
    try TestFiles.rename(directory("copy"), to: data)
    #expect(try look.sample().outOfSight == nil, "nothing was written since")
    try TestFiles.append(command, to: directory("old") + "/appendonlydir/appendonly.aof.1.incr.aof")
    let reason = try look.sample().outOfSight ?? ""
    #expect(reason.contains("Redis writes to appendonly.aof.1.incr.aof"), "\(reason)")
    // A file that grows under its own name is the log that the server writes to.
    try TestFiles.append(command, to: data + "/appendonlydir/appendonly.aof.1.incr.aof")
    #expect(try look.sample().outOfSight == nil)
  }

  /// A rewrite of an empty Redis 6 gives an AOF that is an RDB without keys. It is never shipped.
  @Test(arguments: [true, false])
  func `a single AOF without keys is no data`(isKeyless: Bool) throws {
    let key: [UInt8] = isKeyless ? [] : [0xfe, 0, 0xfb, 1, 0, 0, 1, 0x6b, 1, 0x76]
    let rdb = Array("REDIS0011".utf8) + key + [0xff] + [UInt8](repeating: 0, count: 8)
    try TestFiles.write(rdb, to: directory("appendonly.aof"))
    var look = SourceLook(FilePath(directory.path), names: ServerNames(), time: SystemClock())
    #expect(try look.sample().isVacant == isKeyless)
  }
}
