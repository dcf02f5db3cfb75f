import BackupTypes
import Glibc
import HistoryLogic
import Recovery
import RedisFormats
import RepositoryAccess
import SystemPackage
import TestSupport
import Testing

/// Data directories with many kinds of damage, and what `inspect --data`, `ship --once` with `restore`, and a
/// real server say about them. Each directory is made from a seed. `LIFEBOAT_TEST_SEED` repeats a run.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct DifferentialTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var version: ServerVersion
    var form: DamagedDirectory.Form
    var testDescription: String { "\(version), \(form.rawValue)" }
    static let all: [Case] = [ServerVersion.v6_2, .v7_0, .v8_2, .valkey9_1].flatMap { version in
      DamagedDirectory.Form.allCases
        .filter { version.hasMultiPartAOF || $0 == .dump || $0 == .single }
        .map { Case(version: version, form: $0) }
    }
  }

  private struct Verdicts {
    var words: String
    var data: String
    var isGood: Bool
    /// Neither good nor broken. For example, a damaged magic is unknown.
    var isUnknown: Bool
    /// The minimum number of keys, according to the files.
    var least: UInt64
    /// The number of keys that the server loads; nil if it does not start.
    var loaded: UInt64?
  }

  private static let perChange = 2
  /// How many directories are shipped for each kind of damage. A broken one takes seconds.
  private static let shipped = (good: 1, broken: 1)
  private static let shippedAtOnce = 12

  @Test(arguments: Case.all)
  func `what is called good loads, with all its keys, also after a restore`(test: Case) async throws
  {
    let seed = getenv("LIFEBOAT_TEST_SEED").flatMap { UInt64(String(cString: $0)) } ?? 57
    let folder = try TemporaryDirectory("differ")
    let made = DamagedDirectory(version: test.version, form: test.form)
    let source = try await made.write(to: folder.makeDirectory("source"))
    var random = SeededRandom(seed: seed)
    var counts: [String: Int] = [:]
    var toShip: [Verdicts] = []
    for change in DamagedDirectory.Change.allCases where made.can(change) {
      var shipped = (good: 0, broken: 0)
      for number in 0..<DifferentialTests.perChange {
        let data = folder("\(change)-\(number)")
        try TestFiles.copyTree(source, to: data)
        let what = try made.damage(data, change, &random)
        let words = "seed \(seed), \(test.testDescription), \(change) \(number): \(what)"
        let found = try await verdicts(test, data, words, folder)
        counts[
          "\(found.isGood ? "good" : "broken"), \(found.loaded == nil ? "refused" : "loads")",
          default: 0] += 1
        if !found.isGood, !found.isUnknown, found.loaded != nil {
          #expect(change.isAgreed, "\(words): it loads \(found.loaded!) keys, and is called broken")
        }
        if found.isGood { shipped.good += 1 } else { shipped.broken += 1 }
        guard
          found.isGood
            ? shipped.good <= Self.shipped.good : shipped.broken <= Self.shipped.broken
        else { continue }
        toShip.append(found)
      }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (number, found) in toShip.enumerated() {
        if number >= DifferentialTests.shippedAtOnce { try await group.next() }
        group.addTask { try await shipAndRestore(test, found, folder, number) }
      }
      try await group.waitForAll()
    }
    print("differential: seed \(seed), \(test.testDescription): \(counts), \(toShip.count) shipped")
    #expect(counts["good, loads", default: 0] > 3 && counts["broken, refused", default: 0] > 0)
  }

  private func verdicts(
    _ test: Case, _ data: String, _ words: String, _ folder: TemporaryDirectory
  ) async throws -> Verdicts {
    let inspection = try DirectoryInspection.make(FilePath(data), names: ServerNames())
    let start = test.form == .dump ? inspection.withAppendonlyNo : inspection.withAppendonlyYes
    let isUnknown = inspection.files.contains { $0.verdict.hasPrefix("unverified") }
    let isGood = inspection.isSound && !isUnknown && !start.contains("What to do")
    let least = try keys(data, inspection)
    let copy = folder("load")
    try TestFiles.copyTree(data, to: copy)
    defer { TestFiles.remove(copy) }
    let loaded = try await load(test, copy)
    if isGood {
      if let loaded {
        #expect(loaded >= least, "\(words): \(loaded) keys of \(least): \(inspection.text)")
      } else {
        Issue.record("\(words): called good, and the server refuses it: \(inspection.text)")
      }
    }
    return Verdicts(
      words: words, data: data, isGood: isGood, isUnknown: isUnknown, least: least, loaded: loaded)
  }

  /// A restore of what was shipped gives what the server loads. `ship` succeeds exactly if `inspect` says
  /// good, except for a directory without data, which has nothing to ship.
  private func shipAndRestore(
    _ test: Case, _ found: Verdicts, _ folder: TemporaryDirectory, _ number: Int
  ) async throws {
    let (repository, target) = (folder("repository-\(number)"), folder("target-\(number)"))
    defer { for path in [repository, target] { TestFiles.remove(path) } }
    let shipped = try await LifeboatCommand.run(
      ["ship", "--once", "--data", found.data, "--repo", repository, "--source", "test"])
    guard shipped.exitCode == 0 else {
      #expect(
        !found.isGood || found.loaded == 0, "\(found.words): called good, not shipped: \(shipped)")
      return
    }
    #expect(
      found.isGood || found.isUnknown, "\(found.words): called broken, and shipped: \(shipped)")
    let restored = try await LifeboatCommand.run(
      ["restore", "--data", target, "--repo", repository])
    guard restored.exitCode == 0 else {
      #expect(found.loaded == 0, "\(found.words): shipped, and not restored: \(restored)")
      return
    }
    guard let loaded = try await load(test, target, ["aof-load-truncated": "no"]) else {
      if found.isUnknown, found.loaded == nil { return }
      Issue.record("\(found.words): restored, and the server refuses it: \(restored)")
      return
    }
    #expect(
      loaded == found.loaded,
      "\(found.words): \(loaded) keys after the restore, \(found.loaded ?? 0) before: \(shipped)")
  }

  private func keys(_ data: String, _ inspection: DirectoryInspection) throws -> UInt64 {
    var bounds = KeyBounds.none
    for file in inspection.files where file.role != "dump" || inspection.files.count == 1 {
      let bytes = try TestFiles.read(data + "/" + file.path)
      var scanner = AOFScanner(takesAnyMagic: true)
      scanner.keys = KeySample()
      bytes.withUnsafeBytes { scanner.consume($0) }
      // Count only what a loader keeps, without an unfinished transaction.
      if scanner.boundary < UInt64(bytes.count) {
        scanner = AOFScanner(takesAnyMagic: true)
        scanner.keys = KeySample()
        var whole = AOFScanner(takesAnyMagic: true)
        bytes.withUnsafeBytes { whole.consume($0) }
        bytes[..<Int(whole.boundary)].withUnsafeBytes { scanner.consume($0) }
      }
      bounds = scanner.keyBounds(over: bounds)
    }
    return bounds.atLeast
  }

  /// The number of keys that a server loads; nil if it refuses to start.
  private func load(_ test: Case, _ directory: String, _ options: [String: String] = [:])
    async throws -> UInt64?
  {
    do {
      let server = try await RedisServer.start(
        test.version, directory: directory,
        options: options.merging(["appendonly": test.form == .dump ? "no" : "yes"]) { $1 })
      defer { server.kill() }
      guard case .integer(let count) = try server.command("DBSIZE") else { return nil }
      return UInt64(count)
    } catch is RedisServer.StartFailure {
      return nil
    }
  }
}
