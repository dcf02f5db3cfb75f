import BackupTypes
import Glibc
import TestSupport
import Testing

/// A damaged volume. The damage is reported, nothing damaged becomes a restore point, and the previous good
/// points stay.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct BadVolumeTests {
  enum Damage: String, CaseIterable { case torn, truncated, flipped, empty }

  /// Nothing of the file is uploaded, and it is not read to its end.
  @Test func `a sparse file of any size in place of the dump is refused by its first bytes`()
    async throws
  {
    let scene = try Scene()
    try TestFiles.write("", to: scene.data + "/dump.rdb")
    try TestFiles.truncate(scene.data + "/dump.rdb", to: 1 << 40)
    let shipped = try await scene.shipOnce()
    #expect(shipped.exitCode != 0 && shipped.errorText.has("dump.rdb"), "\(shipped)")
    let pieces = TestFiles.tree(scene.repository).filter { $0.has("generations/") }
    #expect(pieces.allSatisfy { !TestFiles.isRegular(scene.repository + "/" + $0) }, "\(pieces)")
  }

  @Test(arguments: [ServerVersion.v6_2, .v8_2, .valkey9_1], Damage.allCases)
  func `a damaged dump is reported and the last good one stays`(
    version: ServerVersion, damage: Damage
  ) async throws {
    let scene = try Scene()
    let server = try await scene.server(version)
    try server.fill("good:", 1...50, bytes: 200)
    try await server.save()
    let good = try await server.dataset()
    try await scene.ship()
    try server.fill("bad:", 1...50, bytes: 200)
    try await server.save()
    server.kill()
    let dump = scene.data + "/dump.rdb"
    let size = try TestFiles.size(dump)
    switch damage {
    case .torn:
      let bytes = try TestFiles.read(dump)
      try TestFiles.write(
        bytes[..<(size / 2)] + [UInt8](repeating: 0, count: size - size / 2), to: dump)
    case .truncated: try TestFiles.truncate(dump, to: size - 9)
    case .flipped: try flipBit(dump, at: size / 2)
    case .empty: try TestFiles.truncate(dump, to: 0)
    }
    let before = try contents(scene.data)
    let shipped = try await scene.shipOnce()
    #expect(shipped.exitCode == 1 || shipped.exit == .corrupt, "\(shipped)")
    #expect(shipped.errorText.has("dump.rdb"), "it does not name the file: \(shipped)")
    #expect(try contents(scene.data) == before)
    let target = try await scene.restored("target")
    #expect(try await scene.loaded(version, target) == good)
  }

  @Test(arguments: [
    "", "not a manifest\n", "file ../../etc/passwd seq 1 type b\n",
    "file appendonly.aof.7.incr.aof seq 7 type i\n",
  ])
  func `a bad manifest is broken for a restore and not yet a set for a shipper`(text: String)
    async throws
  {
    let scene = try Scene()
    let server = try await scene.server(.v7_4, ["appendonly": "yes"])
    try server.fill("good:", 1...50)
    let good = try await server.dataset()
    server.kill()
    try await scene.ship()
    try TestFiles.write(text, to: scene.data + "/appendonlydir/appendonly.aof.manifest")
    let before = try contents(scene.data)
    for arguments in [[], ["--if-empty", "--if-backup-exists"]] {
      let result = try await scene.restore(scene.data, arguments)
      #expect(result.exit == .corrupt && result.errorText.has("--replace"), "\(result)")
      #expect(try contents(scene.data) == before)
    }
    let shipped = try await scene.shipOnce()
    #expect(shipped.exitCode != nil && shipped.exitCode! < 10, "\(shipped)")
    #expect(!shipped.errorText.has("root:"), "\(shipped)")
    let target = try await scene.restored("target")
    #expect(try await scene.loaded(.v7_4, target) == good)
  }

  @Test(arguments: [ServerVersion.v6_2, .v7_4])
  func `garbage inside an AOF is never a restore point`(version: ServerVersion) async throws {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    try server.fill("good:", 1...50)
    let good = try await server.dataset()
    server.kill()
    try await scene.ship()
    let file = try #require(
      TestFiles.tree(scene.data).first { $0.hasSuffix("incr.aof") || $0 == "appendonly.aof" })
    try TestFiles.append(
      Array("\u{1}garbage that is no command\r\n".utf8), to: scene.data + "/" + file)
    try TestFiles.append(
      Array("*3\r\n$3\r\nSET\r\n$6\r\nbehind\r\n$1\r\n1\r\n".utf8), to: scene.data + "/" + file)
    let shipped = try await scene.shipOnce()
    #expect(
      shipped.exitCode == 1 || shipped.exitCode == 0 || shipped.exit == .corrupt, "\(shipped)")
    let target = try await scene.restored("target")
    #expect(try await scene.loaded(version, target) == good)
  }

  @Test func `a data directory that is a file, absent, without a parent, or in use`() async throws {
    let scene = try Scene()
    let server = try await scene.server(.v7_4, ["appendonly": "yes"])
    try server.fill("good:", 1...50)
    try await scene.ship()
    let file = scene.folder("file")
    try TestFiles.write("precious", to: file)
    for arguments in [["ship", "--once"], ["restore"]] {
      let result = try await LifeboatCommand.run(
        arguments + ["--data", file, "--repo", scene.repository])
      #expect((result.exitCode ?? 0) != 0 && result.errorText.has("directory"), "\(result)")
      #expect(try TestFiles.text(file) == "precious")
    }
    let absent = try await scene.restore(scene.folder("absent"))
    #expect(absent.exitCode == 0, "\(absent)")
    let orphan = try await scene.restore(scene.folder("no/such/parent"))
    #expect((orphan.exitCode ?? 0) != 0 && orphan.errorText.has("no/such"), "\(orphan)")
    // The directory is in use by a server with data, and then by one that has just started without data.
    let before = TestFiles.tree(scene.data)
    for arguments in [["--replace"], []] {
      let used = try await scene.restore(scene.data, arguments)
      #expect(used.exit == .refused, "\(used)")
    }
    #expect(TestFiles.tree(scene.data) == before)
    let fresh = try scene.folder.makeDirectory("fresh")
    let other = try await scene.server(.v7_4, on: fresh, ["appendonly": "no"])
    let used = try await scene.restore(fresh)
    #expect(used.exit == .refused && used.errorText.has("in use"), "\(used)")
    #expect(TestFiles.list(fresh).isEmpty)
    other.kill()
    server.kill()
  }

  @Test func `no permission and no room change nothing`() async throws {
    let scene = try Scene()
    let server = try await scene.server(.v7_4, ["appendonly": "yes"])
    try server.fill("good:", 1...400, bytes: 4096)
    server.kill()
    try await scene.ship()
    for path in [scene.folder.path, scene.repository, scene.data] { chmod(path, 0o755) }
    let target = try scene.folder.makeDirectory("target")
    let binary = LifeboatCommand.path
    func asNobody(_ arguments: [String]) async throws -> (end: ProcessEnd, text: String) {
      let out = scene.folder("nobody-\(arguments[0])")
      let child = try ChildProcess(
        "/usr/bin/setpriv",
        ["--reuid", "65534", "--regid", "65534", "--clear-groups", binary] + arguments,
        environment: ChildProcess.minimalEnvironment, output: .file(out), errors: .file(out))
      let end = try await child.wait()
      return (end, try TestFiles.text(out))
    }
    // There is no permission for the repository, then the target, then the volume.
    let closed = try await asNobody(["restore", "--data", target, "--repo", scene.repository])
    #expect(closed.end != .exited(0) && closed.text.has("ermission"), "\(closed)")
    #expect(TestFiles.tree(target).isEmpty)
    chmod(scene.data + "/appendonlydir", 0o700)
    let own = try scene.folder.makeDirectory("own-repository")
    chmod(own, 0o777)
    let unread = try await asNobody(["ship", "--once", "--data", scene.data, "--repo", own])
    #expect(unread.end != .exited(0) && unread.text.has("ermission"), "\(unread)")
    // No space left: a tmpfs that is too small, in a mount namespace of its own.
    let small = try scene.folder.makeDirectory("small")
    let script = """
      mount -t tmpfs -o size=1m tmpfs "$1" || exit 99; "$2" restore --data "$1" --repo "$3"; \
        code=$?; find "$1" -mindepth 1 | grep . && exit 98; exit $code
      """
    let out = scene.folder("small-out")
    let child = try ChildProcess(
      "/usr/bin/unshare", ["-m", "sh", "-c", script, "sh", small, binary, scene.repository],
      environment: ChildProcess.minimalEnvironment, output: .file(out), errors: .file(out))
    let end = try await child.wait()
    let text = try TestFiles.text(out)
    #expect(end == .exited(ExitCode.noRoom.rawValue) && text.has("enlarge the volume"), "\(text)")
  }
}
