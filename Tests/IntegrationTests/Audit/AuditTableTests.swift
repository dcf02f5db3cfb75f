import Glibc
import TestSupport
import Testing

/// Each row of the decision record's table, with a real server that keeps writing. Checks what the running
/// sidecar says and still ships, what a newly started one says, what `--once` does, and that the status is
/// healthy again after the cause is gone.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct AuditTableTests {
  /// One server is shipped to a directory, the other to an S3 server.
  @Test(arguments: [ServerVersion.v7_0, .valkey9_1])
  func `all is said to be well only where a look proved it`(version: ServerVersion) async throws {
    let rows = try AuditTable.read()
    #expect(rows.count >= 21)
    let failures = await withTaskGroup(of: String?.self) { group in
      for row in rows {
        group.addTask {
          do {
            try await check(row, version)
            return nil
          } catch {
            return "\(row.name): \(error)"
          }
        }
      }
      return await group.reduce(into: [String]()) { if let failure = $1 { $0.append(failure) } }
    }
    #expect(failures.isEmpty, "\(failures.joined(separator: "\n---\n"))")
  }

  private func check(_ row: AuditTable.Row, _ version: ServerVersion) async throws {
    let place = version == .valkey9_1 ? try await Place.onSeaweed() : try Place()
    let scene = try await AuditScene(row, version, place)
    var shown = try scene.sidecar()
    if scene.isSeenAtFirst { try await isWell(shown, scene, "before") }
    try await scene.damage()
    var step = scene.writesOn ? try scene.write() : 0
    try await says(row.running, row, shown, scene, "running")
    if row.isShipped {
      step = try scene.write()
      var (found, attempts) = (0, 0)
      try await eventually(
        deadline: 60, "what is written through a held descriptor is shipped",
        condition: {
          attempts += 1
          found = try await scene.restoredStep(into: "held-\(attempts)")
          return found >= step
        }, state: { "step \(found) of \(step); \(shown.command.errorText.suffix(2000))" })
    }
    // A sidecar that starts now has no open files.
    shown.command.kill()
    shown = try scene.sidecar()
    let single =
      ["ship", "--once", "--data", scene.shipped, "--repo", scene.place.folder("once")]
      + scene.arguments.filter { $0 != "--expect-writes" && $0 != "30s" }
    async let once = LifeboatCommand.run(single)
    try await says(row.restarted, row, shown, scene, "restarted")
    let result = try await once
    guard result.exitCode == row.once else { throw HarnessError("--once: \(result)") }
    if try await scene.cure() {
      shown.command.kill()
      shown = try scene.sidecar()
    }
    step = try scene.write()
    try await isWell(shown, scene, "after")
    try await eventually(
      deadline: 60, "everything is restorable again",
      condition: {
        try await scene.restoredStep(into: "after-\(step)-\(Int.random(in: 0..<1 << 30))") >= step
      },
      state: { shown.command.errorText })
    _ = try await shown.command.terminate()
  }

  private func isWell(_ shown: Shown, _ scene: AuditScene, _ when: String) async throws {
    var last = ""
    try await eventually(
      deadline: 90, "all is well \(when)",
      condition: {
        guard shown.command.end == nil else {
          throw HarnessError("it ended: \(shown.command.errorText)")
        }
        if scene.row.name == "CONFIG SET dir" { try scene.write() }
        let status = try await shown.run("status")
        last = status.outputText
        return status.exitCode == 0
      }, state: { last + shown.command.errorText.suffix(3000) })
    let sync = try await shown.run("sync", "--wait", "--timeout", "60s")
    guard sync.exitCode == 0 else { throw HarnessError("\(when): \(sync)") }
  }

  /// Waits for the state with its reason. Until then the status is never healthy, and no `sync` succeeds.
  private func says(
    _ state: String, _ row: AuditTable.Row, _ shown: Shown, _ scene: AuditScene, _ when: String
  ) async throws {
    var last = ""
    try await eventually(
      deadline: 90, "\(when): it is \(state)",
      condition: {
        guard shown.command.end == nil else {
          throw HarnessError("it ended: \(shown.command.errorText)")
        }
        if scene.writesOn { try scene.write() }
        let status = try await shown.run("status")
        last = status.outputText
        let hasWords = state == "following" || row.words.isEmpty || last.contains(row.words)
        return status.exitCode == 1 && last.contains("state         \(state)") && hasWords
      }, state: { last + shown.command.errorText.suffix(3000) })
    let sync = try await shown.run("sync", "--wait", "--timeout", "1s")
    guard sync.exitCode != 0 else { throw HarnessError("\(when): sync says that all is durable") }
    if state == "blocked" {
      guard try await shown.metric("lifeboat_log_lag_seconds") ?? 0 > 0 else {
        throw HarnessError("\(when): no lag")
      }
      guard await shown.isState("blocked") else {
        throw HarnessError("\(when): no state in the metrics")
      }
    }
  }
}
