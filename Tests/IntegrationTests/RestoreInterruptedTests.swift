import BackupTypes
import Glibc
import TestSupport
import Testing

/// kill -9 of a restore during its renames, with the binary and real servers. `RestoreCommitTests` covers
/// every single step.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct RestoreInterruptedTests {
  /// What happens after the kill.
  private enum Next: CaseIterable {
    case same, another
    case server
  }

  private struct Stage {
    let scene: Scene
    let old: String
    let oldFiles: [String: [UInt8]]
    let newest: [String: [UInt8]]
    let earlier: [String: [UInt8]]
    let earlierPoint: String
  }

  /// Two states in the repository, and a directory with data of its own.
  private func stage(_ version: ServerVersion) async throws -> Stage {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    try server.fill("a:", 1...300, bytes: 1024)
    try await server.save()
    try await scene.ship()
    let plan = try await scene.restore(scene.folder("none"), ["--dry-run", "--json"])
    let point = try #require(Scene.field("point", of: plan.outputText))
    try server.fill("b:", 1...300, bytes: 1024)
    try await server.save()
    server.kill()
    try await scene.ship()
    let old = try scene.folder.makeDirectory("old")
    let other = try await scene.server(version, on: old, ["appendonly": "yes"])
    try other.fill("old:", 1...50)
    try await other.save()
    other.kill()
    let newest = try await scene.restored("newest")
    let earlier = try await scene.restored("earlier", "--point", point)
    return Stage(
      scene: scene, old: old, oldFiles: try visible(old), newest: try visible(newest),
      earlier: try visible(earlier), earlierPoint: point)
  }

  private func visible(_ path: String) throws -> [String: [UInt8]] {
    try contents(path).filter { !$0.key.hasPrefix(".lifeboat") }
  }

  /// A directory whose restore with --replace was killed as soon as `sign` existed. Nil if the restore ended
  /// before.
  private func killed(_ stage: Stage, at sign: String) throws -> String? {
    let target = stage.scene.folder("target-\(UInt32.random(in: 0 ... .max))")
    try TestFiles.copyTree(stage.old, to: target)
    let restore = try LifeboatCommand.start([
      "restore", "--data", target, "--repo", stage.scene.repository, "--replace",
    ])
    // The old files are moved aside before the new ones are put in place.
    let away = target + "/.lifeboat-replaced/" + sign
    while restore.end == nil, sign != "", !TestFiles.exists(away) {}
    while restore.end == nil, !TestFiles.exists(target + "/.lifeboat-replaced") {}
    if sign.hasSuffix("/") { while restore.end == nil, !TestFiles.exists(target + "/" + sign) {} }
    if case .exited = restore.kill().end { return nil }
    return target
  }

  @Test(arguments: [ServerVersion.v6_2, .v7_4])
  func `killed in its commit: what was there, what was asked for, or what a server wrote`(
    version: ServerVersion
  ) async throws {
    let stage = try await stage(version)
    let names = TestFiles.list(stage.old).filter { !$0.hasPrefix(".") }
    var kills = 0
    for next in Next.allCases {
      for sign in [""] + names + names.map({ $0 + "/" }).filter({ $0.hasSuffix("dir/") }) {
        var target: String?
        for _ in 1...10 where target == nil { target = try killed(stage, at: sign) }
        guard let target else { continue }
        kills += 1
        defer { TestFiles.remove(target) }
        let words = "\(next) behind \"\(sign)\""
        switch next {
        case .same:
          let again = try await stage.scene.restore(target, ["--replace", "--json"])
          #expect(again.exitCode == 0 || again.errorText.has("an earlier --replace"), "\(again)")
          #expect(try visible(target) == stage.newest, "\(words): \(again)")
        case .another:
          let other = try await stage.scene.restore(
            target, ["--point", stage.earlierPoint, "--replace", "--json"])
          // It was already complete, and only one set of replaced files is kept.
          let isRefused = other.errorText.has("an earlier --replace")
          #expect(other.exitCode == 0 || isRefused, "\(words): \(other)")
          #expect(
            try visible(target) == (isRefused ? stage.newest : stage.earlier), "\(words): \(other)")
          if !isRefused {
            #expect(other.outputText.contains("\"result\" : \"restored\""), "\(other)")
            #expect(other.errorText.has("undid an interrupted restore"), "\(words): \(other)")
          }
        case .server: try await serve(version, stage, target, words)
        }
        if next != .server {
          let aside = try contents(target + "/.lifeboat-replaced")
          #expect(stage.oldFiles.allSatisfy { aside[$0.key] == $0.value }, "\(words)")
        }
        #expect(!TestFiles.exists(target + "/.lifeboat-restore"), "\(words)")
      }
    }
    #expect(kills >= 6, "the restores were too quick to be killed: \(kills)")
  }

  private func serve(_ version: ServerVersion, _ stage: Stage, _ target: String, _ words: String)
    async throws
  {
    let server = try await stage.scene.server(version, on: target, ["appendonly": "yes"])
    try server.fill("live:", 1...20)
    let live = try await server.dataset()
    server.kill()
    let before = try visible(target)
    let booted = try await stage.scene.restore(target, ["--if-empty", "--if-backup-exists"])
    #expect(booted.exitCode == 0 && booted.outputText.has("nothing to do"), "\(words): \(booted)")
    #expect(try visible(target) == before, "\(words): \(booted)")
    #expect(try await stage.scene.loaded(version, target) == live, "\(words)")
  }

  @Test func `a planted journal is said and not followed`() async throws {
    let stage = try await stage(.v7_4)
    let target = try stage.scene.folder.makeDirectory("planted")
    try TestFiles.makeDirectory(target + "/.lifeboat-restore/files")
    try TestFiles.write("no dump", to: target + "/.lifeboat-restore/files/dump.rdb")
    try TestFiles.write(
      "{\"phase\":\"committing\",\"movedIn\":[\"dump.rdb\"]}",
      to: target + "/.lifeboat-restore/journal.json")
    let restored = try await stage.scene.restore(
      target, ["--point", stage.earlierPoint, "--json"])
    #expect(restored.exitCode == 0, "\(restored)")
    #expect(try visible(target) == stage.earlier)
    #expect(restored.outputText.has("\"not-followed\""), "\(restored)")
    #expect(restored.errorText.has("ignored"), "\(restored)")
    let aside = try #require(TestFiles.list(target).first { $0.hasPrefix(".lifeboat-debris-") })
    #expect(try TestFiles.text(target + "/" + aside + "/files/dump.rdb") == "no dump")
  }

  /// One of the names is a mount point. The second rename fails, and the first is undone.
  @Test func `a rename that fails leaves everything as it was`() async throws {
    let stage = try await stage(.v7_4)
    let target = stage.scene.folder("mounted")
    try TestFiles.copyTree(stage.old, to: target)
    let script = """
      mount --bind "$1/dump.rdb" "$1/dump.rdb" || exit 99
      look() { (cd "$1" && find . | sort && find . -type f | sort | xargs sha256sum); }
      look "$1" > "$4.before"
      "$2" restore --data "$1" --repo "$3" --replace; code=$?
      look "$1" > "$4.after"
      cmp "$4.before" "$4.after" || exit 98
      exit $code
      """
    let out = stage.scene.folder("out")
    let child = try ChildProcess(
      "/usr/bin/unshare",
      [
        "-m", "sh", "-c", script, "sh", target, LifeboatCommand.path, stage.scene.repository, out,
      ], environment: ChildProcess.minimalEnvironment, output: .file(out), errors: .file(out))
    let end = try await child.wait(deadline: 120)
    let text = try TestFiles.text(out)
    #expect(end == .exited(ExitCode.failure.rawValue), "\(text)")
    #expect(text.has("can't rename") && text.has("dump.rdb") && text.has("busy"), "\(text)")
    #expect(text.has("mount point") && text.has("unchanged"), "\(text)")
    #expect(try visible(target) == stage.oldFiles)
  }

  @Test func `two at once: the second is refused, and the lock dies with its holder`() async throws
  {
    let stage = try await stage(.v7_4)
    let target = try stage.scene.folder.makeDirectory("two")
    let first = try LifeboatCommand.start([
      "restore", "--data", target, "--repo", stage.scene.repository,
    ])
    // If it finishes before it can be stopped, there is nothing to check.
    while first.end == nil, !TestFiles.exists(target + "/.lifeboat-restore") {}
    first.signal(SIGSTOP)
    guard first.end == nil else { return }
    let second = try await stage.scene.restore(target, ["--if-empty", "--if-backup-exists"])
    #expect(second.exit == .refused && second.errorText.has("another restore"), "\(second)")
    first.kill()
    let third = try await stage.scene.restore(target, ["--if-empty", "--if-backup-exists"])
    #expect(third.exitCode == 0, "\(third)")
    #expect(try visible(target) == stage.newest)
  }

  /// Root without CAP_CHOWN, as in a container that drops it. The directory belongs to somebody else.
  @Test func `a chown that is refused is an error only where it is needed`() async throws {
    let stage = try await stage(.v7_4)
    func restore(_ target: String, umask: String, _ arguments: [String]) async throws -> (
      end: ProcessEnd, text: String
    ) {
      let out = stage.scene.folder("out-\(umask)-\(arguments.count)")
      let script = "umask $1; shift; exec setpriv --bounding-set -chown --inh-caps -chown -- \"$@\""
      let child = try ChildProcess(
        "/bin/sh",
        [
          "-c", script, "sh", umask, LifeboatCommand.path, "restore", "--repo",
          stage.scene.repository, "--data", target,
        ] + arguments, environment: ChildProcess.minimalEnvironment, output: .file(out),
        errors: .file(out))
      return (try await child.wait(deadline: 60), try TestFiles.text(out))
    }
    func directory(_ name: String, owner: UInt32) throws -> String {
      let target = try stage.scene.folder.makeDirectory(name)
      #expect(chown(target, owner, owner) == 0 && chmod(target, 0o777) == 0)
      return target
    }
    let own = try await restore(try directory("own", owner: 0), umask: "022", [])
    #expect(own.end == .exited(0) && !own.text.has("warning: the files"), "\(own)")
    // Readable for everybody, so the server can keep running as its usual user.
    let readable = try directory("readable", owner: 65534)
    let warned = try await restore(readable, umask: "022", [])
    #expect(warned.end == .exited(0) && warned.text.has("can't be changed to"), "\(warned)")
    #expect(try visible(readable) == stage.newest)
    let hidden = try directory("hidden", owner: 65534)
    let needed = try await restore(hidden, umask: "077", [])
    #expect(needed.end == .exited(1) && needed.text.has("owner"), "\(needed)")
    #expect(try visible(hidden).isEmpty)
    let asked = try await restore(
      try directory("asked", owner: 65534), umask: "022", ["--owner", "65534:65534"])
    #expect(asked.end == .exited(1) && asked.text.has("owner"), "\(asked)")
  }

  /// A pod with `fsGroup`. The restore and Redis run as different users of the group.
  @Test func `a server of the directory's group appends to what another of its users restored`()
    async throws
  {
    let stage = try await stage(.v7_4)
    let target = try stage.scene.folder.makeDirectory("group")
    #expect(chown(target, 0, 1001) == 0 && chmod(target, 0o2775) == 0)
    let script = """
      umask 022; as() { setpriv --reuid "$1" --regid "$1" --groups 1001 -- "${@:2}"; }
      for above in "$3" "$(dirname "$3")" "$4"; do chmod -R a+rX "$above"; done
      as 999 "$1" restore --repo "$4" --data "$3" || exit 97
      cd "$3"
      as 1001 sh -c 'for file in appendonlydir/* dump.rdb; do test -w "$file" || exit 1; done' || exit 98
      as 1001 sh -c ': >temp-1.rdb && mv temp-1.rdb dump.rdb' || exit 95
      as 1001 sh -c ': >appendonlydir/new && mv appendonlydir/new appendonlydir/newer' || exit 96
      """
    let out = stage.scene.folder("out-group")
    let child = try ChildProcess(
      "/bin/bash",
      ["-c", script, "bash", LifeboatCommand.path, "", target, stage.scene.repository],
      environment: ChildProcess.minimalEnvironment, output: .file(out), errors: .file(out))
    let end = try await child.wait(deadline: 60)
    let text = try TestFiles.text(out)
    #expect(end == .exited(0), "\(text)")
  }

  /// In a pod without a securityContext, the volume belongs to root and Lifeboat runs as uid 999.
  @Test func `a first start says that a restore could not write here`() async throws {
    let folder = try TemporaryDirectory("unwritable")
    let (data, repository) = (
      try folder.makeDirectory("data"), try folder.makeDirectory("repository")
    )
    #expect(chmod(folder.path, 0o755) == 0 && chmod(data, 0o755) == 0)
    for (user, isWarned) in [("999", true), ("0", false)] {
      let out = folder("out-\(user)")
      let child = try ChildProcess(
        "/usr/bin/setpriv",
        [
          "--reuid", user, "--clear-groups", "--", LifeboatCommand.path, "restore", "--repo",
          repository, "--data", data, "--if-empty", "--if-backup-exists",
        ], environment: ChildProcess.minimalEnvironment, output: .file(out), errors: .file(out))
      let end = try await child.wait(deadline: 60)
      let text = try TestFiles.text(out)
      #expect(end == .exited(0), "\(text)")
      #expect(text.has("is not writable") == isWarned, "\(text)")
    }
  }
}
