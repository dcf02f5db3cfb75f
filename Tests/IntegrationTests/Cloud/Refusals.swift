import BackupTypes
import TestSupport
import Testing

extension Place {
  /// Expects that each command on an unusable store exits with 4, prints `words` and what to do, and does not
  /// say that there is no backup.
  func checkRefused(_ words: [String]) async throws {
    let target = try folder.makeDirectory("target")
    try Volume.writeDump(in: data)
    // At the same time, since errors that may be temporary are retried for a while.
    async let restored = run(
      "restore",
      ["--if-empty", "--if-backup-exists", "--retry-for", "1s", "--data", target, "--json"])
    async let listed = run("list", ["--json"])
    async let inspected = run("inspect", [])
    async let shipped = run("ship", ["--once", "--data", data])
    for result in [try await restored, try await listed, try await inspected, try await shipped] {
      try result.expectRefused(words)
    }
    #expect(TestFiles.tree(target).isEmpty)
    #expect(try await restored.jsonText("remedy") != nil)
  }
}

extension CommandResult {
  func expectRefused(_ words: [String]) throws {
    try #require(exit == .storeUnavailable, "\(self)")
    for word in words + ["what to do:"] {
      #expect(errorText.contains(word), "\"\(word)\" is not in: \(self)")
    }
    #expect(!description.contains("no backup"), "\(self)")
    #expect(!description.contains("planted"), "\(self)")
  }
}
