import BackupTypes
import TestSupport
import Testing

/// A damaged or foreign repository. The exit code says which, the message says what to do, and the target is
/// not changed.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct BadRepositoryTests {
  enum Damage: String, CaseIterable {
    case missing, truncated, swapped, newer, flipped, empty
  }
  /// The kinds of objects in a repository, by part of their paths.
  enum Kind: String, CaseIterable {
    case claim = "/claim"
    case snapshot = "/snapshots/"
    case log = "/log/"
    case index = "/index"
    case piece = "/0000000"
    func matches(_ path: String) -> Bool {
      switch self {
      case .piece: path.hasPrefix("generations/") && !path.hasSuffix("/index")
      case .index: path.hasPrefix("generations/") && path.hasSuffix("/index")
      default: path.has(rawValue)
      }
    }
  }

  private static func backup() async throws -> Scene {
    let scene = try Scene()
    let server = try await scene.server(.v7_4, ["appendonly": "yes"])
    defer { server.kill() }
    try server.fill("one:", 1...20)
    try await server.save()
    try await scene.ship()
    try server.fill("two:", 1...20)
    try await scene.ship()
    return scene
  }

  @Test(arguments: Kind.allCases)
  func `an object that is missing, damaged, swapped or newer`(kind: Kind) async throws {
    let whole = try await BadRepositoryTests.backup()
    let objects = TestFiles.tree(whole.repository).filter(kind.matches)
    // The newest of its kind, which the newest restore point needs. The ids of generations are random, so
    // each generation is damaged once: one is the BASE, the other the dump.
    let victims = [.piece, .index].contains(kind) ? objects : [try #require(objects.last)]
    try #require(!victims.isEmpty)
    for (damage, victim) in Damage.allCases.flatMap({ damage in victims.map { (damage, $0) } }) {
      let scene = try Scene()
      try TestFiles.copyTree(whole.repository, to: scene.repository)
      let path = scene.repository + "/" + victim
      let size = try TestFiles.size(path)
      switch damage {
      case .missing: TestFiles.remove(path)
      case .truncated: try TestFiles.truncate(path, to: size - 1)
      case .empty: try TestFiles.truncate(path, to: 0)
      case .flipped: try flipBit(path, at: size - 1)
      case .newer:
        var bytes = try TestFiles.read(path)
        bytes[8] = 2
        try TestFiles.write(bytes, to: path)
      case .swapped:
        guard let other = objects.first(where: { $0 != victim }) else { continue }
        try TestFiles.copy(scene.repository + "/" + other, to: path)
      }
      let target = try scene.folder.makeDirectory("target")
      let result = try await scene.restore(target, ["--if-empty", "--if-backup-exists"])
      let words = "\(kind) \(damage) \(victim): \(result)"
      if damage == .missing, [.snapshot, .log, .piece, .index].contains(kind) {
        // The listing is the catalogue. A missing snapshot does not exist, so the previous point is restored.
        // A missing dump beside the chain is left out, since retention deletes dumps.
        #expect(result.exitCode == 0 || result.exit == .corrupt, "\(words)")
        if result.exitCode == 0 {
          #expect(try await scene.loaded(.v7_4, target)[0, "one:20"] != nil, "\(words)")
        }
        continue
      }
      if [.piece, .index].contains(kind), result.exitCode == 0 {
        // It belonged to the dump, which the state does not need.
        #expect(result.outputText.has("the dump next to the log is left out"), "\(words)")
        #expect(try await scene.loaded(.v7_4, target)[0, "two:20"] != nil, "\(words)")
        continue
      }
      #expect(result.exit == (damage == .newer ? .versionMismatch : .corrupt), "\(words)")
      #expect(result.errorText.has("what to do"), "no way out: \(words)")
      #expect(
        TestFiles.tree(target).filter { !$0.hasPrefix(".lifeboat-restore/") }.isEmpty, "\(words)")
    }
  }

  @Test func `a descriptor of a newer format, and one that is none`() async throws {
    let scene = try await BadRepositoryTests.backup()
    let path = scene.repository + "/lifeboat.json"
    let text = try TestFiles.text(path)
    for (content, exit) in [
      (text.replacingFirst("\"_lifeboat\":1", with: "\"_lifeboat\":2"), ExitCode.versionMismatch),
      ("{}", .corrupt), ("", .corrupt), ("\u{7f}ELF", .corrupt),
    ] {
      try TestFiles.write(content, to: path)
      let target = try scene.folder.makeDirectory("target")
      let result = try await scene.restore(target, ["--if-empty", "--if-backup-exists"])
      #expect(result.exit == exit, "\(content): \(result)")
      #expect(TestFiles.tree(target).isEmpty)
      let shipped = try await scene.shipOnce()
      #expect(shipped.exit == exit || shipped.exitCode == 0, "\(content): \(shipped)")
      #expect(try TestFiles.text(path) == content, "the descriptor was overwritten")
    }
    // Without the descriptor, there are still objects. So this is not "no backup".
    TestFiles.remove(path)
    let lost = try await scene.restore(
      try scene.folder.makeDirectory("target"), ["--if-empty", "--if-backup-exists"])
    #expect(lost.exit == .corrupt, "\(lost)")
  }

  @Test func `the repository of another source, and another repository than expected`() async throws
  {
    let scene = try await BadRepositoryTests.backup()
    let other = try scene.folder.makeDirectory("other")
    let server = try await scene.server(.v7_4, on: other, ["appendonly": "yes"])
    try server.fill("foreign:", 1...3)
    server.kill()
    let before = try contents(scene.repository)
    let refused = try await LifeboatCommand.run([
      "ship", "--once", "--data", other, "--repo", scene.repository, "--source", "another",
    ])
    #expect(refused.exit == .refused && refused.errorText.has("--take-over"), "\(refused)")
    #expect(try contents(scene.repository) == before)
    let id = String(repeating: "0", count: 32)
    let target = try scene.folder.makeDirectory("target")
    let wrong = try await scene.restore(target, ["--repository-id", id])
    #expect(wrong.exit == .refused, "\(wrong)")
    let empty = try scene.folder.makeDirectory("nothing")
    let absent = try await LifeboatCommand.run([
      "restore", "--data", target, "--repo", empty, "--repository-id", id, "--if-backup-exists",
    ])
    #expect(absent.exit == .noBackup, "\(absent)")
    #expect(TestFiles.tree(target).isEmpty)
  }
}

extension String {
  fileprivate func replacingFirst(_ old: String, with new: String) -> String {
    guard let start = indices.first(where: { self[$0...].hasPrefix(old) }) else { return self }
    return self[..<start] + new + self[index(start, offsetBy: old.count)...]
  }
}
