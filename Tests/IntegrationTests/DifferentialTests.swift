import BackupTypes
import HistoryLogic
import Recovery
import RedisFormats
import RepositoryAccess
import SystemPackage
import TestSupport
import Testing

/// Data directories that were damaged in many ways, and what three lines of servers, `inspect --data`, and
/// `ship --once` with `restore` say of them. Nothing that a server refuses is called good, and nothing called good
/// loads fewer keys than it says. What `docs/restore.md` lists may be called broken although a server loads it.
@Suite(.serialized, .enabled(if: !ServerVersion.isQuickRun))
struct DifferentialTests {
  enum Form: String, CaseIterable, Sendable { case dump, set, commands, single }

  private enum Change: CaseIterable {
    case nothing, cutLast, cutFirst, cutToNothing, flip, zeros, junk, removed, manifest, annotation
    case openTransaction, tornTransaction
  }

  private static let perChange = 3

  @Test(arguments: [ServerVersion.v7_0, .v8_2, .valkey9_1], Form.allCases)
  func `nothing that a server refuses is called good`(version: ServerVersion, form: Form)
    async throws
  {
    let folder = try TemporaryDirectory("differ")
    let source = try await write(version, form, to: folder.makeDirectory("source"))
    var random = SeededRandom(seed: UInt64(form.rawValue.utf8.count) &* 31 &+ 7)
    var counts: [String: Int] = [:]
    for change in Change.allCases {
      for number in 0..<DifferentialTests.perChange {
        let data = folder("\(change)-\(number)")
        try TestFiles.copyTree(source, to: data)
        let what = try alter(data, form, change, &random)
        let words = "\(version) \(form.rawValue), \(change) \(number): \(what)"
        let inspection = try DirectoryInspection.make(FilePath(data), names: ServerNames())
        let verdict = form == .dump ? inspection.withAppendonlyNo : inspection.withAppendonlyYes
        let isGood = inspection.isSound && !verdict.contains("What to do")
        let least = try keys(data, inspection)
        let copy = folder("load")
        try TestFiles.copyTree(data, to: copy)
        let loaded = try await load(version, form, copy)
        TestFiles.remove(copy)
        counts[
          "\(isGood ? "good" : "broken"), \(loaded == nil ? "refused" : "loads")", default: 0] += 1
        if isGood {
          guard let loaded else {
            Issue.record("\(words): called good, and the server refuses it: \(inspection.text)")
            continue
          }
          #expect(
            loaded >= least, "\(words): \(loaded) keys of \(least) at least: \(inspection.text)")
        }
        if number == 0 {
          try await shipAndRestore(version, form, data, isGood: isGood, least: least, words, folder)
        }
      }
    }
    print("differential \(version) \(form.rawValue): \(counts.sorted { $0.key < $1.key })")
    #expect(counts["good, loads", default: 0] > 3 && counts["broken, refused", default: 0] > 0)
  }

  /// What is shipped of a directory loads again. What a restore gives is never less than what `inspect` counted.
  private func shipAndRestore(
    _ version: ServerVersion, _ form: Form, _ data: String, isGood: Bool, least: UInt64,
    _ words: String, _ folder: TemporaryDirectory
  ) async throws {
    let (repository, target) = (folder("repository"), folder("target"))
    defer { for path in [repository, target] { TestFiles.remove(path) } }
    let shipped = try await LifeboatCommand.run(
      ["ship", "--once", "--data", data, "--repo", repository, "--source", "test"])
    guard shipped.exitCode == 0 else {
      #expect(!isGood || least == 0, "\(words): called good, and not shipped: \(shipped)")
      return
    }
    let restored = try await LifeboatCommand.run(
      ["restore", "--data", target, "--repo", repository])
    #expect(restored.exitCode == 0, "\(words): shipped, and not restored: \(restored)")
    guard restored.exitCode == 0 else { return }
    guard let loaded = try await load(version, form, target) else {
      Issue.record("\(words): restored, and the server refuses it: \(restored)")
      return
    }
    if isGood { #expect(loaded >= least, "\(words): \(loaded) of \(least) keys after the restore") }
  }

  // MARK: Making

  private func write(_ version: ServerVersion, _ form: Form, to directory: String) async throws
    -> String
  {
    let isAOF = form != .dump
    let server = try await RedisServer.start(
      version, directory: directory,
      options: [
        "appendonly": isAOF ? "yes" : "no", "appendfsync": "always",
        "aof-timestamp-enabled": "yes", "aof-use-rdb-preamble": form == .commands ? "no" : "yes",
      ])
    defer { server.kill() }
    for number in 0..<30 {
      try server.command("SET", "string:\(number)", String(repeating: "v\(number)", count: 20))
      try server.command("RPUSH", "list:\(number % 3)", "item\(number)")
    }
    if isAOF {
      try await server.rewriteAOF()
      for number in 0..<12 { try server.command("SET", "later:\(number)", "value") }
    } else {
      try await server.save()
    }
    server.kill()
    guard form == .single else { return directory }
    // As an older Redis has it: the full copy and the commands behind it in one file.
    let inner = directory + "/appendonlydir"
    let names = TestFiles.list(inner).sorted()
    var bytes: [UInt8] = []
    for suffix in ["base.rdb", "incr.aof"] {
      for name in names where name.hasSuffix(suffix) {
        bytes += try TestFiles.read(inner + "/" + name)
      }
    }
    TestFiles.remove(inner)
    try TestFiles.write(bytes, to: directory + "/appendonly.aof")
    return directory
  }

  private func files(_ data: String, _ form: Form) -> [String] {
    switch form {
    case .dump: [data + "/dump.rdb"]
    case .single: [data + "/appendonly.aof"]
    case .set, .commands:
      TestFiles.list(data + "/appendonlydir").sorted().filter { !$0.hasSuffix("manifest") }
        .map { data + "/appendonlydir/" + $0 }
    }
  }

  /// Returns what was changed.
  private func alter(
    _ data: String, _ form: Form, _ change: Change, _ random: inout SeededRandom
  ) throws -> String {
    let files = files(data, form)
    guard let first = files.first, let last = files.last else { throw HarnessError("no files") }
    switch change {
    case .nothing: return ""
    case .cutLast, .cutFirst:
      let file = change == .cutLast ? last : first
      let size = Int.random(in: 1..<(try TestFiles.size(file)), using: &random)
      try TestFiles.truncate(file, to: size)
      return "\(file) cut to \(size)"
    case .cutToNothing:
      try TestFiles.truncate(first, to: 0)
      return "\(first) emptied"
    case .flip:
      // Not in commands: no reader can know what they should have been.
      guard form != .commands else { return "" }
      var bytes = try TestFiles.read(first)
      let at = Int.random(in: 0..<min(bytes.count, 700), using: &random)
      bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      try TestFiles.write(bytes, to: first)
      return "byte \(at) of \(first)"
    case .zeros, .junk:
      let count = Int.random(in: 1...64, using: &random)
      let bytes =
        change == .zeros ? [UInt8](repeating: 0, count: count) : Array("junk\r\n".utf8)
      try TestFiles.append(bytes, to: last)
      return "\(bytes.count) bytes behind \(last)"
    case .removed:
      let file = files[Int.random(in: 0..<files.count, using: &random)]
      TestFiles.remove(file)
      return "\(file) removed"
    case .manifest:
      let path = data + "/appendonlydir/appendonly.aof.manifest"
      guard TestFiles.exists(path) else { return "" }
      let size = try TestFiles.size(path)
      let left = Int.random(in: 0..<size, using: &random)
      try TestFiles.truncate(path, to: left)
      return "manifest cut to \(left) of \(size)"
    case .annotation:
      guard form != .dump else { return "" }
      try TestFiles.append(Array("#TS:17000".utf8), to: last)
      return "a part of an annotation"
    case .openTransaction, .tornTransaction:
      guard form != .dump else { return "" }
      var text = "*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$8\r\nstring:0\r\n$1\r\nv\r\n"
      if change == .tornTransaction { text.removeLast(3) }
      try TestFiles.append(Array(text.utf8), to: last)
      return "a transaction without its end"
    }
  }

  // MARK: Loading

  /// How many keys the files hold at least, as they are read here.
  private func keys(_ data: String, _ inspection: DirectoryInspection) throws -> UInt64 {
    var bounds = KeyBounds.none
    for file in inspection.files where file.role != "dump" || inspection.files.count == 1 {
      let bytes = try TestFiles.read(data + "/" + file.path)
      var scanner = AOFScanner(takesAnyMagic: true)
      scanner.keys = KeySample()
      bytes.withUnsafeBytes { scanner.consume($0) }
      bounds = scanner.keyBounds(over: bounds)
    }
    return bounds.atLeast
  }

  /// How many keys a server loads; nil if it refuses to start.
  private func load(_ version: ServerVersion, _ form: Form, _ directory: String) async throws
    -> UInt64?
  {
    do {
      let server = try await RedisServer.start(
        version, directory: directory, options: ["appendonly": form == .dump ? "no" : "yes"])
      defer { server.kill() }
      guard case .integer(let count) = try server.command("DBSIZE") else { return nil }
      return UInt64(count)
    } catch is RedisServer.StartFailure {
      return nil
    }
  }
}
