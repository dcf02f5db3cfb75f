import BackupTypes
import TestSupport
import Testing

/// A server lost its data and kept running. A restore asks, and the state before the loss can be restored.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(5)))
struct AccidentTests {
  enum Accident: String, Sendable, CaseIterable, CustomTestStringConvertible {
    case wipedUnderSidecar, wipedAndSidecarRestarted, dumpsOnEmptyVolume, flushedWithoutLog
    var testDescription: String { rawValue }
    var appendOnly: String {
      self == .wipedUnderSidecar || self == .wipedAndSidecarRestarted ? "yes" : "no"
    }
  }

  private func follow(_ scene: Scene) throws -> RunningCommand {
    try LifeboatCommand.start([
      "ship", "--data", scene.data, "--repo", scene.repository, "--source", "test",
      "--ship-interval", "100ms",
    ])
  }

  private func restores(_ count: Int, _ scene: Scene, _ ship: RunningCommand) async throws {
    var last = ""
    try await eventually(
      deadline: 60, "\(count) keys are restored",
      condition: {
        let target = try scene.folder.makeDirectory("try-\(UInt32.random(in: 0 ... .max))")
        defer { TestFiles.remove(target) }
        let result = try await scene.restore(target)
        last = "\(result)"
        guard result.exitCode == 0 else { return false }
        let found = try await scene.loaded(.v7_4, target, appendOnly: scene.appendOnly(target))
        return found.keyCount == count
      }, state: { last + ship.errorText })
  }

  @Test(arguments: Accident.allCases)
  func `what may be an accident is asked about, and both answers are right`(accident: Accident)
    async throws
  {
    let scene = try Scene()
    let options = ["appendonly": accident.appendOnly, "save": "3600 1000000"]
    var server = try await scene.server(.v7_4, options)
    var ship = try follow(scene)
    // With an AOF, all of it stays in the log: the BASE is empty.
    try server.fill("key:", 1...500)
    if accident.appendOnly == "no" { try await server.save() }
    try await restores(500, scene, ship)
    if accident == .wipedAndSidecarRestarted {
      let end = try await ship.terminate()
      #expect(end.exitCode == 0, "\(end)")
    }
    if accident == .flushedWithoutLog {
      try server.command("FLUSHALL")
    } else {
      server.kill()
      TestFiles.remove(scene.data + "/appendonlydir")
      TestFiles.remove(scene.data + "/dump.rdb")
      try await nextSecond()
      server = try await scene.server(.v7_4, options)
      try server.fill("new:", 1...2)
      if accident.appendOnly == "no" { try await server.save() }
    }
    if accident == .wipedAndSidecarRestarted { ship = try follow(scene) }
    var asked: CommandResult?
    try await eventually(
      deadline: 60, "a restore asks",
      condition: {
        let target = try scene.folder.makeDirectory("asked-\(UInt32.random(in: 0 ... .max))")
        defer { TestFiles.remove(target) }
        asked = try await scene.restore(target)
        return asked?.exit == .suspect
      }, state: { "\(asked.map { "\($0)" } ?? "")\(ship.errorText)" })
    let text = asked?.errorText ?? ""
    #expect(text.has("newest: 2.") && text.has("before it: 1."), "\(text)")
    let before = try await scene.restored("before", "--suspect", "before")
    let kept = try await scene.loaded(.v7_4, before, appendOnly: accident.appendOnly)
    #expect(kept.keyCount == 500 && kept[0, "key:500"] != nil)

    // The server is still shipped, and no second question is asked.
    if accident == .flushedWithoutLog { try server.fill("new:", 1...2) }
    try server.fill("more:", 1...3)
    if accident.appendOnly == "no" { try await server.save() }
    server.kill()
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    let newest = try await scene.restored("newest", "--suspect", "newest")
    #expect(
      try await scene.loaded(.v7_4, newest, appendOnly: accident.appendOnly).keyCount == 5)
    let pins = try await scene.pins()
    #expect(pins.count == 1, "\(pins)")
    let unpinned = try await LifeboatCommand.run([
      "unpin", "--repo", scene.repository, "--all",
    ])
    #expect(unpinned.exitCode == 0, "\(unpinned)")
    let accepted = try await scene.restored("accepted")
    #expect(
      try await scene.loaded(.v7_4, accepted, appendOnly: accident.appendOnly).keyCount == 5)
  }
}

extension Scene {
  /// The `appendonly` setting with which a server loads this directory.
  fileprivate func appendOnly(_ directory: String) -> String {
    TestFiles.exists(directory + "/dump.rdb") ? "no" : "yes"
  }
}
