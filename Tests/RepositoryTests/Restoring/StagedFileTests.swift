import BackupFormat
import BackupTypes
import Codec
import Recovery
import RepositoryAccess
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// How the journal identifies a staged file, and which owner the file gets.
@Suite struct StagedFileTests {
  @Test func `the digest of a file is that of its pieces, however it is read`() throws {
    let size = GenerationIndex.pieceBytes
    for count in [0, 1, size - 1, size, size + 1, 2 * size + 77] {
      var bytes = [UInt8](repeating: 7, count: count)
      for index in stride(from: 0, to: count, by: 65_537) {
        bytes[index] = UInt8(truncatingIfNeeded: index >> 8)
      }
      let pieces = stride(from: 0, to: count, by: size).map {
        SHA256Hasher.digest(of: Array(bytes[$0..<min($0 + size, count)]))
      }
      let wanted = StagedDigest.of(chunks: pieces)
      #expect(StagedDigest.of(bytes) == wanted, "\(count)")
      var digest = StagedDigest()
      for start in stride(from: 0, to: count, by: 999_983) {
        Array(bytes[start..<min(start + 999_983, count)]).withUnsafeBytes { digest.consume($0) }
      }
      #expect(digest.finish() == wanted, "\(count), in parts")
      let folder = try TemporaryDirectory("digest")
      try TestFiles.write(bytes, to: folder("file"))
      let file = try OpenFile(reading: FilePath(folder("file")))
      #expect(try StagedDigest.of(file, size: UInt64(count)) == wanted, "\(count), of a file")
    }
  }

  @Test func `another byte is another digest`() {
    #expect(StagedDigest.of([1, 2, 3]) != StagedDigest.of([1, 2, 4]))
    #expect(StagedDigest.of([]) != StagedDigest.of([0]))
  }

  /// A chown that was refused.
  struct Refused: Sendable, CustomTestStringConvertible {
    var holder: (user: UInt32, group: UInt32)
    var mode: UInt32
    /// 4: loaded. 6: appended to. 7: a directory.
    var access: UInt32
    var isAsked = false
    var need: StagedOwner.Need
    var testDescription: String { "\(holder) \(String(mode, radix: 8)) \(access) \(isAsked)" }
  }

  @Test(arguments: [
    // On NFS with all_squash or on FUSE, the file already belongs to the owner.
    Refused(holder: (999, 65534), mode: 0o644, access: 6, need: .none),
    Refused(holder: (999, 65534), mode: 0o600, access: 6, isAsked: true, need: .none),
    // Writable for the group or for everybody.
    Refused(holder: (65534, 999), mode: 0o664, access: 6, need: .none),
    Refused(holder: (65534, 65534), mode: 0o666, access: 6, need: .none),
    Refused(holder: (65534, 65534), mode: 0o777, access: 7, need: .none),
    // A server only reads or replaces a dump, but it appends to its log.
    Refused(holder: (65534, 65534), mode: 0o644, access: 4, need: .none),
    Refused(holder: (65534, 65534), mode: 0o644, access: 6, need: .toWrite),
    Refused(holder: (65534, 65534), mode: 0o755, access: 7, need: .toWrite),
    Refused(holder: (65534, 999), mode: 0o640, access: 6, need: .toWrite),
    Refused(holder: (65534, 65534), mode: 0o640, access: 4, need: .toRead),
    Refused(holder: (65534, 65534), mode: 0o700, access: 7, need: .toRead),
    // If an owner was requested, a chown is needed.
    Refused(holder: (65534, 65534), mode: 0o666, access: 4, isAsked: true, need: .toRead),
  ])
  func `who needs a chown that is refused`(row: Refused) {
    let found = StagedOwner.need(
      of: (999, 999), heldBy: row.holder, mode: row.mode, access: row.access, isAsked: row.isAsked)
    #expect(found == row.need)
  }

  @Test func `root is kept from no file`() {
    let found = StagedOwner.need(
      of: (0, 0), heldBy: (user: 65534, group: 65534), mode: 0o600, access: 6, isAsked: false)
    #expect(found == .none)
  }

  @Test(
    arguments: [
      // A pod's fsGroup; the same without setgid; a directory for the user only.
      (0o2775, 0o644, 0o664, 0o755, 0o2775), (0o775, 0o644, 0o664, 0o755, 0o775),
      (0o755, 0o644, 0o644, 0o755, 0o755), (0o700, 0o600, 0o600, 0o700, 0o700),
      // The umask removed the group's bits.
      (0o2770, 0o600, 0o660, 0o700, 0o2770),
    ] as [(UInt32, UInt32, UInt32, UInt32, UInt32)])
  func `what the group may do in the directory it may do with what is made there`(
    directory: UInt32, file: UInt32, givenFile: UInt32, inner: UInt32, givenInner: UInt32
  ) {
    #expect(StagedOwner.mode(file, in: directory, isDirectory: false) == givenFile)
    #expect(StagedOwner.mode(inner, in: directory, isDirectory: true) == givenInner)
  }

  @Test func `a restore into a volume of a group lets all of the group write`() async throws {
    let scene = try await RestoreScene()
    let data = try scene.directory(.data)
    try OpenDirectory(FilePath(data)).setPermissions(0o2775)
    try await scene.restore(data, RestoreScene.replacing)
    let names = TestFiles.tree(data).filter { !$0.hasPrefix(".lifeboat") }
    #expect(names.contains("appendonlydir/a.manifest"))
    for name in names + ["appendonlydir", ".lifeboat-replaced"] {
      let status = try #require(try FileStatus.at(FilePath(data + "/" + name)))
      let wanted: UInt32 = TestFiles.isDirectory(data + "/" + name) ? 0o2070 : 0o060
      #expect(status.mode & wanted == wanted, "\(name) has \(String(status.mode, radix: 8))")
    }
  }
}
