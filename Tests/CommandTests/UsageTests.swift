import BackupTypes
import TestSupport
import Testing

/// Error messages for mistyped commands, options and URLs.
@Suite struct UsageTests {
  @Test(arguments: [
    (["lst"], "did you mean `list`?"), (["restroe", "--data", "x"], "did you mean `restore`?"),
    (["lisst", "--json"], "did you mean `list`?"),
    (["ship", "--data", "x", "--repo", "y", "--ship-interval", "5"], "a time has a unit: 500ms"),
    (["prune", "--repo", "y", "--keep-within", "7"], "a time has a unit"),
    (["ship", "--data", "x", "--repo", "y", "--read-limit", "fast"], "examples of sizes: 4096"),
    (["verify", "--repo", "y", "--sample", "10x"], "examples of percentages: 5"),
    (["restore", "--data", "x", "--repo", "y", "--repository-id", "12"], "32 hex digits"),
    (["ship", "--data", "x", "--repo", "y", "--repository-id", "12"], "32 hex digits"),
    (["list", "--repo", "s3:/bucket/prefix"], "it begins like a URL, but not with s3://"),
    (["list", "--repo", "gs//bucket/prefix"], "it begins like a URL, but not with gs://"),
    (["list", "--repo", "az//bucket/prefix"], "it begins like a URL, but not with az://"),
    (["list", "--repo", "abs://account@c/p"], "az://container/prefix?account=NAME"),
    (["list", "--repo", "az://container/p"], "AZURE_STORAGE_ACCOUNT"),
    (["restore", "--data", "x", "--repo", "y", "--pont", "1.2"], "Did you mean '--point'?"),
  ])
  func `a typing error says what was meant`(_ arguments: [String], _ words: String) async throws {
    let result = try await LifeboatCommand.run(arguments)
    #expect(result.exitCode == ExitCode.usage.rawValue, "\(result)")
    #expect(result.errorText.contains(words), "\(result)")
  }

  @Test func `a word like no command is only called unexpected`() async throws {
    let result = try await LifeboatCommand.run(["backup"])
    #expect(result.exitCode == ExitCode.usage.rawValue, "\(result)")
    #expect(!result.errorText.contains("did you mean"), "\(result)")
  }
}
