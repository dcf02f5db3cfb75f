import BackupTypes
import Glibc
import TestSupport
import Testing

/// A restore is killed at each system call that changes the disk. Then another run, a restore of another
/// point, or a server follows. The result is always the old state or the requested one. strace counts the
/// calls and kills the restore.
@Suite(
  .serialized, .timed, .enabled(if: !ServerVersion.isQuickRun),
  .enabled(if: Strace.works, "strace is not installed, or may trace no process here"),
  .timeLimit(.minutes(10)))
struct RestoreSystemCallTests {
  /// At most this many kills in each case, spread over all calls.
  private static let killsMax = 48
  private static let atOnce = 4

  private struct Stage: Sendable {
    var scene: Scene
    /// The old data; nil if the target is empty.
    var old: String?
    var datasets: (old: Dataset, wanted: Dataset)
    var files: (old: [String: [UInt8]], wanted: [String: [UInt8]], earlier: [String: [UInt8]])
    var earlierPoint: String
  }

  @Test(arguments: [false, true])
  func `killed at every call, the old state or the one asked for`(replaces: Bool) async throws {
    let stage = try await stage(replaces)
    let whole = try await run(stage, "whole", killAt: nil)
    try #require(whole.end == .exited(0), "\(whole.output)")
    let all = whole.trace.compactMap(\.words)
    // The distribution of work over threads varies, so some moments do not occur.
    let moments = Strace.moments(whole.trace)
    let step = max(1, (moments.count + Self.killsMax - 1) / Self.killsMax)
    let chosen = stride(from: 0, to: moments.count, by: step).map { moments[$0] }
    let points = try await withThrowingTaskGroup(of: String?.self) { group in
      var points: [String] = []
      for (index, moment) in chosen.enumerated() {
        if index >= Self.atOnce, let point = try await group.next() ?? nil { points.append(point) }
        group.addTask { try await killed(stage, at: moment) }
      }
      for try await point in group { if let point { points.append(point) } }
      return points
    }
    print(
      "restore\(replaces ? " --replace" : ""): \(all.count) calls change the disk, "
        + "\(Set(all).count) of them different; of \(moments.count) moments killed at \(points.count), "
        + "\(Set(points).count) of them different: \(Set(points).sorted())")
    #expect(all.count >= 40 && points.count >= 12, "\(all), \(points)")
  }

  /// Returns where it was killed; nil if it ended before.
  private func killed(_ stage: Stage, at moment: Strace.Moment) async throws -> String? {
    let run = try await run(stage, "kill-\(moment.call)-\(moment.number)", killAt: moment)
    defer { TestFiles.remove(run.target) }
    guard case .signalled(SIGKILL) = run.end else {
      #expect(run.end == .exited(0), "\(run)")
      return nil
    }
    let point = run.trace.last { $0.name == moment.call }?.words
    let words = "killed at \(moment), \(point ?? "outside of the directory")"
    let left = try visible(run.target)
    let isCommitting = TestFiles.exists(run.target + "/.lifeboat-restore")
    #expect(
      left == stage.files.old || left == stage.files.wanted || isCommitting,
      "\(words): \(left.keys)")
    try await expectServer(stage, run.target, isCommitting: isCommitting, words)
    let isDone = left == stage.files.wanted
    let other = moment.number % 3 == 2 ? ["--point", stage.earlierPoint] : []
    let next = try await stage.scene.restore(run.target, flags(stage) + other)
    let isRefused = isDone && next.exit == .refused
    #expect(next.exitCode == 0 || isRefused, "\(words): \(next)")
    let wanted = other.isEmpty || isRefused ? stage.files.wanted : stage.files.earlier
    #expect(try visible(run.target) == wanted, "\(words), then \(other): \(next)")
    #expect(!TestFiles.exists(run.target + "/.lifeboat-restore"), "\(words)")
    if stage.old != nil {
      let aside = try contents(run.target + "/.lifeboat-replaced")
      for (name, bytes) in stage.files.old {
        #expect(aside[name] == bytes, "\(words): \(name) is lost")
      }
    }
    return point
  }

  /// Even between two calls of a commit that replaces data, a server finds the old state or the new one.
  private func expectServer(
    _ stage: Stage, _ target: String, isCommitting: Bool, _ words: String
  ) async throws {
    do {
      let loaded = try await stage.scene.loaded(.v7_4, target)
      #expect(
        loaded == stage.datasets.old || loaded == stage.datasets.wanted, "\(words): a third state")
    } catch let failure as RedisServer.StartFailure {
      Issue.record("\(words): a server does not start: \(failure)")
    }
  }

  // MARK: The stage

  private func stage(_ replaces: Bool) async throws -> Stage {
    let scene = try Scene()
    let server = try await scene.server(.v7_4, ["appendonly": "yes"])
    try server.fill("a:", 1...30)
    try await server.save()
    try await scene.ship()
    let plan = try await scene.restore(scene.folder("none"), ["--dry-run", "--json"])
    let point = try #require(Scene.field("point", of: plan.outputText))
    try server.fill("b:", 1...30)
    let wanted = try await server.dataset()
    server.kill()
    try await scene.ship()
    let old = try scene.folder.makeDirectory("old")
    if replaces {
      let other = try await scene.server(.v7_4, on: old, ["appendonly": "yes"])
      try other.fill("old:", 1...5)
      other.kill()
    }
    let newest = try await scene.restored("newest")
    let earlier = try await scene.restored("earlier", "--point", point)
    let before = try await scene.loaded(.v7_4, old)
    return Stage(
      scene: scene, old: replaces ? old : nil, datasets: (before, wanted),
      files: (try visible(old), try visible(newest), try visible(earlier)), earlierPoint: point)
  }

  private func flags(_ stage: Stage) -> [String] { stage.old == nil ? [] : ["--replace"] }

  private func visible(_ path: String) throws -> [String: [UInt8]] {
    try contents(path).filter { !$0.key.hasPrefix(".lifeboat") }
  }

  private struct Run: Sendable {
    var target: String
    var end: ProcessEnd
    var trace: [Strace.Call]
    var output: String
  }

  private func run(_ stage: Stage, _ name: String, killAt moment: Strace.Moment?) async throws
    -> Run
  {
    let target = try stage.scene.folder.makeDirectory(name)
    if let old = stage.old { try TestFiles.copyTree(old, to: target) }
    let (trace, out) = (stage.scene.folder(name + ".trace"), stage.scene.folder(name + ".out"))
    let child = try ChildProcess(
      Strace.path,
      Strace.arguments(killAt: moment, to: trace) + [
        LifeboatCommand.path, "restore", "--data", target, "--repo", stage.scene.repository,
        "--retry-for", "0s",
      ] + flags(stage), output: .file(out), errors: .file(out))
    let end = try await child.wait(deadline: 120)
    // strace shows the resolved paths.
    let resolved = realpath(target, nil)
    defer { free(resolved) }
    let real = resolved.map { String(cString: $0) } ?? target
    return Run(
      target: target, end: end, trace: Strace.calls(try TestFiles.text(trace), below: real),
      output: try TestFiles.text(out))
  }
}
