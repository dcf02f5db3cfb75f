import BackupTypes
import TestSupport
import Testing

/// A server loads after a restore what docs/restore.md says, for every kind of point, flag and setting. It
/// never silently loads nothing.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct WhatLoadsTests {
  /// The kinds of restore points, by their names in the table.
  enum Point: String, CaseIterable {
    case live = "live AOF"
    case liveWithDump = "live AOF, older dump"
    case liveOnly = "live AOF, empty BASE"
    case dump = "dump only"
    case stopped = "clean stop"

    func make(_ version: ServerVersion, _ scene: Scene) async throws -> Dataset {
      var options = ["appendonly": self == .dump ? "no" : "yes"]
      if self == .stopped { options["save"] = "3600 1" }
      let server = try await scene.server(version, options)
      defer { server.kill() }
      try server.fill("first:", 1...50)
      switch self {
      case .live, .stopped: try await server.rewriteAOF()
      case .liveWithDump: try await server.save()
      case .dump, .liveOnly: break
      }
      try server.fill("second:", 1...50)
      if self == .dump { try await server.save() }
      let dataset = try await server.dataset()
      if self == .stopped { try await server.shutdown() } else { server.kill() }
      try await scene.ship()
      return dataset
    }
  }

  @Test(arguments: ServerVersion.allCases, Point.allCases)
  func `what loads is what the table says`(version: ServerVersion, point: Point) async throws {
    let table = try LoadTable.read()
    let scene = try Scene()
    let expected = try await point.make(version, scene)
    for flag in ["none", "yes", "no"] {
      let row = try table.row(version, point.rawValue, flag: flag)
      let target = try scene.folder.makeDirectory("target-\(flag)")
      let result = try await scene.restore(target, flag == "none" ? [] : ["--appendonly", flag])
      #expect(result.exitCode == row.exit, "\(row): \(result)")
      guard row.exit == 0 else {
        #expect(TestFiles.tree(target).isEmpty, "refused, and yet something is there")
        continue
      }
      for (setting, loads) in [("yes", row.withYes), ("no", row.withNo)] {
        let found = try await scene.loaded(version, target, appendOnly: setting)
        let words = "\(point.rawValue), flag \(flag), server \(setting): \(found); \(result)"
        switch loads {
        case .all: #expect(expected.difference(to: found, limit: 3) == [], "\(words)")
        case .older: #expect(found.keyCount > 0 && found.keyCount < expected.keyCount, "\(words)")
        case .empty:
          #expect(found.isEmpty, "\(words)")
          #expect(
            result.outputText.has(
              "warning: a server with `appendonly \(setting)` would start EMPTY"))
        case .nothing: Issue.record("the table does not say what loads: \(row)")
        }
      }
    }
  }

  @Test(arguments: ServerVersion.allCases)
  func `a stopped AOF is not what is restored`(version: ServerVersion) async throws {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    try server.fill("logged:", 1...30)
    try await scene.ship()
    try server.command("CONFIG", "SET", "appendonly", "no")
    try server.fill("saved:", 1...30)
    try await server.save()
    let expected = try await server.dataset()
    try await scene.ship()
    server.kill()
    let target = try await scene.restored("target")
    for setting in ["yes", "no"] {
      let found = try await scene.loaded(version, target, appendOnly: setting)
      #expect(expected.difference(to: found, limit: 3) == [], "appendonly \(setting)")
    }
  }

  @Test(arguments: [ServerVersion.v6_2, .v7_4, .valkey9_1])
  func `a sidecar notices that the AOF stopped`(version: ServerVersion) async throws {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    let ship = try LifeboatCommand.start(
      ["ship", "--data", scene.data, "--repo", scene.repository, "--ship-interval", "100ms"])
    try server.fill("logged:", 1...30)
    try await server.save()
    try await eventually(
      deadline: 60, "the log is a restore point",
      condition: { try await scene.list().outputText.has("@") }, state: { ship.errorText })
    try server.command("CONFIG", "SET", "appendonly", "no")
    try server.fill("saved:", 1...30)
    try await server.save()
    let expected = try await server.dataset()
    // Neither the server nor the shipper stops. The dump becomes the newest state by itself.
    try await eventually(
      deadline: 60, "the dump is the newest restore point",
      condition: {
        let target = try scene.folder.makeDirectory("try-\(UInt32.random(in: 0 ... .max))")
        defer { TestFiles.remove(target) }
        guard try await scene.restore(target).exitCode == 0 else { return false }
        return try await scene.loaded(version, target) == expected
      }, state: { ship.errorText })
    _ = ship.kill()
  }
}
