import BackupTypes
import TestSupport
import Testing

/// A server that is newer than this release. Its files are backed up unchanged, and do not block anything.
@Suite struct UnknownFormatTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var full: [UInt8]
    var testDescription: String { name }
    init(_ name: String, _ head: String, _ count: Int = 3000) {
      self.name = name
      full = Array(head.utf8) + (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) }
    }
    static let all: [Case] = [
      .init("an envelope to come", "VCS\u{2}\u{1}\0\u{1}"),
      .init("a codec to come", "VCS\u{1}\u{3}\0\u{1}"),
      .init("a version to come", "REDIS0099"),
      .init("another server's magic", "NEWKV0001"),
    ]
  }
  private static let log = Array("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nv\r\n".utf8)

  @Test(arguments: Case.all, [true, false])
  func `it boots, is shipped as it is, restored to the byte, and boots again`(
    test: Case, isAOF: Bool
  ) async throws {
    let folder = try TemporaryDirectory("newer")
    let (data, repository) = (try folder.makeDirectory("data"), try folder.makeDirectory("repo"))
    var files = ["dump.rdb": test.full]
    if isAOF {
      try TestFiles.makeDirectory(data + "/appendonlydir")
      let manifest =
        "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
      files = [
        "appendonlydir/appendonly.aof.1.base.rdb": test.full,
        "appendonlydir/appendonly.aof.1.incr.aof": UnknownFormatTests.log,
        "appendonlydir/appendonly.aof.manifest": Array(manifest.utf8),
      ]
    }
    for (name, bytes) in files { try TestFiles.write(bytes, to: data + "/" + name) }
    try await boot(data, repository)
    let shipped = try await LifeboatCommand.run(
      ["ship", "--once", "--data", data, "--repo", repository, "--source", "test"])
    #expect(shipped.exitCode == 0, "\(shipped)")
    let listed = try await LifeboatCommand.run(["list", "--repo", repository])
    #expect(listed.exitCode == 0 && listed.outputText.contains("unverified"), "\(listed)")
    #expect(!listed.outputText.contains("0 keys"), "what is not known is not 0: \(listed)")
    let target = try folder.makeDirectory("target")
    let restored = try await LifeboatCommand.run(
      ["restore", "--data", target, "--repo", repository])
    #expect(restored.exitCode == 0 && restored.outputText.contains("unverified"), "\(restored)")
    for (name, bytes) in files where !name.hasSuffix(".manifest") {
      #expect(try TestFiles.read(target + "/" + name) == bytes, "\(name)")
    }
    if !isAOF {
      let base = target + "/appendonlydir/appendonly.aof.1.base.rdb"
      #expect(try TestFiles.read(base) == test.full, "a BASE of the same bytes")
    }
    try await boot(target, repository)
    let verified = try await LifeboatCommand.run(["verify", "--repo", repository])
    #expect(verified.exitCode == 0, "\(verified)")
  }

  /// A server deletes expired keys when it loads the dump. The restore says so, and how many there are.
  @Test func `a restore says how many keys have expired meanwhile`() async throws {
    let folder = try TemporaryDirectory("expired")
    let (data, repository) = (try folder.makeDirectory("data"), folder("repo"))
    var records: [UInt8] = [0xfe, 0]
    for number in UInt8(0)..<30 {
      // In 1970, and in 2100.
      let at: [UInt8] =
        number < 20 ? [1, 0, 0, 0, 0, 0, 0, 0] : [0, 0xd8, 0xc3, 0x2c, 0xbb, 3, 0, 0]
      records += [0xfc] + at + [0, 1, 65 + number, 1, 118]
    }
    let dump = Array("REDIS0011".utf8) + records + [0xff] + [UInt8](repeating: 0, count: 8)
    try TestFiles.write(dump, to: data + "/dump.rdb")
    let shipped = try await LifeboatCommand.run(
      ["ship", "--once", "--data", data, "--repo", repository, "--source", "test"])
    #expect(shipped.exitCode == 0, "\(shipped)")
    let restored = try await LifeboatCommand.run(
      ["restore", "--data", folder("target"), "--repo", repository])
    #expect(restored.exitCode == 0 && restored.outputText.contains("20 keys"), "\(restored)")
    #expect(restored.outputText.contains("expired after it was saved"), "\(restored)")
    let inspected = try await LifeboatCommand.run(["inspect", "--data", data])
    #expect(inspected.outputText.contains("loads in Redis 7.2"), "\(inspected)")
  }

  /// Runs a restore as an init container does.
  private func boot(_ data: String, _ repository: String) async throws {
    let before = TestFiles.tree(data)
    let result = try await LifeboatCommand.run(
      ["restore", "--if-empty", "--if-backup-exists", "--data", data, "--repo", repository])
    #expect(result.exitCode == 0 && result.outputText.contains("nothing to do"), "\(result)")
    #expect(result.outputText.contains("warning: "), "\(result)")
    let json = try await LifeboatCommand.run(
      ["restore", "--if-empty", "--json", "--data", data, "--repo", repository])
    #expect(json.outputText.contains("\"data-present\""), "\(json)")
    #expect(json.outputText.contains("\"warnings\""), "\(json)")
    #expect(TestFiles.tree(data) == before)
    let inspected = try await LifeboatCommand.run(["inspect", "--data", data])
    #expect(inspected.exitCode == 0, "\(inspected)")
  }
}
