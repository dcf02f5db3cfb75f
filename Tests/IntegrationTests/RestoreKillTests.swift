import BackupTypes
import Glibc
import TestSupport
import Testing

/// kill -9 of a restore at random moments. The directory is unchanged, or the next run completes the restore.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct RestoreKillTests {
  @Test(arguments: [ServerVersion.v6_2, .v7_4])
  func `killed at any moment, then run again: complete and correct`(version: ServerVersion)
    async throws
  {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    try server.fill("a:", 1...3000, bytes: 4096)
    try await server.rewriteAOF()
    try server.fill("b:", 1...500, bytes: 4096)
    try await server.save()
    let expected = try await server.dataset()
    server.kill()
    try await scene.ship()
    let clock = ContinuousClock()
    let begun = clock.now
    let whole = try await scene.restored("whole")
    // The duration of one restore, from which the random moments are chosen. The machine may be busier now
    // than later, so a kill that came too late shortens it, and one that came in time lengthens it. Most
    // kills are then near the end, where names change.
    var reach = (clock.now - begun).microseconds
    let wanted = try visible(whole)
    var (kills, round) = (0, 0)
    while kills < 10, round < 200 {
      round += 1
      let target = try scene.folder.makeDirectory("round-\(round)")
      // Every other round replaces existing files, so that there is something to lose.
      let old = round % 2 == 0 ? ["dump.rdb": Array("REDIS0011 not a dump".utf8)] : [:]
      for (name, bytes) in old { try TestFiles.write(bytes, to: target + "/" + name) }
      let flags = old.isEmpty ? [] : ["--replace"]
      let moment = Int.random(in: (round % 3 == 0 ? reach / 20 : reach * 7 / 10)...reach)
      let restore = try LifeboatCommand.start(
        ["restore", "--data", target, "--repo", scene.repository] + flags)
      usleep(UInt32(moment))
      if case .exited = restore.kill().end {
        reach = max(1000, reach * 4 / 5)
        continue
      }
      reach = reach * 6 / 5
      kills += 1
      let left = try visible(target)
      let isCommitting = TestFiles.exists(target + "/.lifeboat-restore")
      #expect(left == old || left == wanted || isCommitting, "round \(round): \(left.keys)")
      let again = try await scene.restore(target, flags)
      // Without a journal, the run that was killed had already finished.
      let isDone = left == wanted && !TestFiles.exists(target + "/.lifeboat-restore/journal.json")
      #expect(
        again.exitCode == 0 || (isDone && again.exit == .refused), "round \(round): \(again)")
      #expect(try visible(target) == wanted, "round \(round), killed after \(moment) us: \(again)")
      #expect(!TestFiles.exists(target + "/.lifeboat-restore"))
      if !old.isEmpty {
        let aside = try contents(target + "/.lifeboat-replaced")
        #expect(aside["dump.rdb"] == old["dump.rdb"], "round \(round): \(aside.keys)")
      }
      TestFiles.remove(target)
    }
    #expect(kills == 10, "the restores were too quick to be killed: \(reach) us")
    #expect(try await scene.loaded(version, whole) == expected)
  }

  /// A volume with room for one copy but not two. The space of what a killed run staged must count as
  /// available.
  @Test func `a killed restore finishes on a volume without room for two`() async throws {
    let scene = try Scene()
    let server = try await scene.server(.v7_4)
    try server.fill("a:", 1...3000, bytes: 4096)
    try await server.save()
    server.kill()
    try await scene.ship()
    let mount = try scene.folder.makeDirectory("mount")
    let script = """
      mount -t tmpfs -o size=16m tmpfs "$1" || exit 99
      n=0
      while [ $n -lt 40 ]; do
        n=$((n + 1))
        "$2" restore --data "$1" --repo "$3" & pid=$!
        until [ -s "$1/.lifeboat-restore/files/dump.rdb" ] || ! kill -0 $pid; do :; done
        kill -9 $pid; wait $pid && exit 0
        [ -d "$1/.lifeboat-restore" ] && break
      done
      "$2" restore --data "$1" --repo "$3"
      """
    let out = scene.folder("out")
    let child = try ChildProcess(
      "/usr/bin/unshare",
      ["-m", "sh", "-c", script, "sh", mount, LifeboatCommand.path, scene.repository],
      environment: ChildProcess.minimalEnvironment, output: .file(out), errors: .file(out))
    let end = try await child.wait(deadline: 120)
    let text = try TestFiles.text(out)
    #expect(end == .exited(0), "\(text)")
  }

  private func visible(_ path: String) throws -> [String: [UInt8]] {
    try contents(path).filter { !$0.key.hasPrefix(".lifeboat") }
  }
}

extension Duration {
  fileprivate var microseconds: Int {
    Int(components.seconds) * 1_000_000 + Int(components.attoseconds / 1_000_000_000_000)
  }
}
