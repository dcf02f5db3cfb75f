import BackupTypes
import TestSupport
import Testing

/// The command line is a contract. The binary has what the documents promise, and the documents have
/// everything that the binary has.
@Suite struct ContractTests {
  private func document(_ name: String) throws -> String {
    String(decoding: try TestFiles.read(Checkout.root + "/docs/" + name), as: UTF8.self)
  }

  @Test func `the command reference is what the definitions give`() async throws {
    let child = try ChildProcess(
      "/usr/bin/env",
      ["python3", Checkout.root + "/scripts/reference", "--check", LifeboatCommand.path],
      environment: ChildProcess.minimalEnvironment)
    let end = try await child.wait(deadline: 60)
    #expect(end == .exited(0), "docs/cli.md is out of date: run scripts/reference")
  }

  @Test func `every exit code has its row, and every row its code`() throws {
    let rows = try document("scripting.md").split(separator: "\n").filter { $0.hasPrefix("| ") }
    let documented = rows.compactMap { row -> [Int32]? in
      let cell = row.dropFirst(2).prefix { $0 != "|" }
      let codes = cell.split(separator: ",").compactMap { Int32($0.filter { $0 != " " }) }
      return codes.isEmpty ? nil : codes
    }.flatMap { $0 }
    #expect(documented.sorted() == ExitCode.allCases.map(\.rawValue).sorted())
  }

  @Test(arguments: [
    ["ship"], ["restore", "--data", "/tmp"], ["nonsense"], ["list", "--repo", "ftp://x"],
    ["restore", "--repo", "/tmp/x", "--data", "/tmp/y", "--at", "2026-11-22T14:02:00"],
    ["restore", "--repo", "/tmp/x", "--data", "/tmp/y", "--point", "nonsense", "--at", "-5m"],
    ["inspect"], ["unpin", "--repo", "/tmp/x"],
    ["restore", "--repo", "/tmp/x", "--data", "/tmp/y", "--owner", "root"],
    ["ship", "--data", "/nonexistent", "--repo", "/tmp/x", "--once"], [],
    ["restore", "--repo", "/tmp/x", "--data", "/tmp/y", "--base", "empty"],
    ["restore", "--repo", "/tmp/x", "--data", "/tmp/y", "--base", "full", "--timeline", "1"],
  ])
  func `a usage error exits with 2 and says what is wrong`(arguments: [String]) async throws {
    let result = try await LifeboatCommand.run(arguments)
    #expect(result.exitCode == ExitCode.usage.rawValue, "\(result)")
    #expect(!result.errorText.isEmpty)
    #expect(result.output.isEmpty, "\(result)")
  }

  /// A Secret made with `echo` ends with a line feed. It would be another prefix, without any objects.
  @Test(
    arguments: ["\n", " ", "/a /b", "\r\n", "/a\n"],
    ["", "file://", "s3://b", "gs://b", "az://abc"])
  func `white space at an end of a repository's name is never no backup`(
    stray: String, scheme: String
  ) async throws {
    let folder = try TemporaryDirectory("contract")
    let place = ["s3", "gs", "az"].contains(scheme.prefix(2)) ? "/p" : folder.path
    let result = try await LifeboatCommand.run(
      ["restore", "--if-empty", "--if-backup-exists", "--data", try folder.makeDirectory("data")],
      environment: ["LIFEBOAT_REPO": scheme + place + stray])
    #expect(result.exitCode == ExitCode.usage.rawValue, "\(result)")
    #expect(result.errorText.contains("white space"), "\(result)")
  }

  @Test(arguments: [["--help"], ["--version"], ["help", "ship"], ["restore", "--help"]])
  func `help and version are successes`(arguments: [String]) async throws {
    let result = try await LifeboatCommand.run(arguments)
    #expect(result.exitCode == 0, "\(result)")
    #expect(!result.output.isEmpty)
  }

  @Test func `a flag wins over its variable, and a variable over nothing`() async throws {
    let folder = try TemporaryDirectory("contract")
    let empty = try folder.makeDirectory("empty")
    let missing = folder.path + "/missing"
    let fromVariable = try await LifeboatCommand.run(
      ["list"], environment: ["LIFEBOAT_REPO": empty])
    #expect(fromVariable.exitCode == ExitCode.noBackup.rawValue, "\(fromVariable)")
    let fromFlag = try await LifeboatCommand.run(
      ["list", "--repo", missing], environment: ["LIFEBOAT_REPO": empty])
    #expect(fromFlag.exitCode == ExitCode.storeUnavailable.rawValue, "\(fromFlag)")
    let asSwitch = try await LifeboatCommand.run(
      ["list", "--repo", empty], environment: ["LIFEBOAT_JSON": "true"])
    #expect(asSwitch.outputText.contains("\"exitCode\" : 3"), "\(asSwitch)")
    let wrong = try await LifeboatCommand.run(
      ["list", "--repo", empty], environment: ["LIFEBOAT_JSON": "perhaps"])
    #expect(wrong.exitCode == ExitCode.usage.rawValue, "\(wrong)")
  }

  @Test func `an empty restore request is none, as in the manifests; an empty key file is wrong`()
    async throws
  {
    let folder = try TemporaryDirectory("contract")
    let restore = [
      "restore", "--data", try folder.makeDirectory("data"),
      "--repo", try folder.makeDirectory("empty"), "--if-empty", "--if-backup-exists",
    ]
    let none = try await LifeboatCommand.run(restore, environment: ["LIFEBOAT_RESTORE_REQUEST": ""])
    #expect(none.exitCode == 0, "\(none)")
    let request = try await LifeboatCommand.run(
      restore, environment: ["LIFEBOAT_RESTORE_REQUEST": "incident-7"])
    #expect(request.exitCode == ExitCode.usage.rawValue, "\(request)")
    let key = try await LifeboatCommand.run(
      restore, environment: ["LIFEBOAT_ENCRYPTION_KEY_FILE": ""])
    #expect(key.exitCode == ExitCode.usage.rawValue, "\(key)")
  }

  @Test func `a variable that no flag has is warned about`() async throws {
    let result = try await LifeboatCommand.run(
      ["--version"], environment: ["LIFEBOAT_PORT": "tcp://10.0.0.1:80"])
    #expect(result.exitCode == 0)
    #expect(result.errorText.contains("LIFEBOAT_PORT"))
  }

  @Test func `under Kubernetes the source has to be named`() async throws {
    let folder = try TemporaryDirectory("contract")
    let result = try await LifeboatCommand.run(
      [
        "ship", "--once", "--data", try folder.makeDirectory("data"), "--repo",
        try folder.makeDirectory("repo"),
      ],
      environment: ["KUBERNETES_SERVICE_HOST": "10.0.0.1"])
    #expect(result.exitCode == ExitCode.usage.rawValue, "\(result)")
    #expect(result.errorText.contains("--source"))
  }

  @Test func `a repository that is absent is never called empty`() async throws {
    let folder = try TemporaryDirectory("contract")
    let data = try folder.makeDirectory("data")
    let absent = try await LifeboatCommand.run(
      ["restore", "--if-backup-exists", "--retry-for", "0", "--data", data, "--repo", data + "/no"])
    #expect(absent.exitCode == ExitCode.storeUnavailable.rawValue, "\(absent)")
    let empty = try await LifeboatCommand.run(
      ["restore", "--if-backup-exists", "--data", data, "--repo", try folder.makeDirectory("repo")])
    #expect(empty.exitCode == 0, "\(empty)")
    let asked = try await LifeboatCommand.run(
      ["restore", "--data", data, "--repo", try folder.makeDirectory("repo2")])
    #expect(asked.exitCode == ExitCode.noBackup.rawValue, "\(asked)")
  }

  @Test func `every field of the JSON documents is documented`() async throws {
    let folder = try TemporaryDirectory("contract")
    let (data, repository) = (try folder.makeDirectory("data"), try folder.makeDirectory("repo"))
    // A dump of Redis 7.0.15 with three keys.
    let dump = try #require(bytes(hexadecimal: ContractTests.dump))
    try TestFiles.write(dump, to: data + "/dump.rdb")
    let text = try document("scripting.md")
    for arguments in [
      ["ship", "--once", "--data", data, "--repo", repository],
      ["list", "--repo", repository], ["report", "--repo", repository],
      ["inspect", "--repo", repository],
      ["inspect", "--data", data],
      ["restore", "--repo", repository, "--data", try folder.makeDirectory("new"), "--dry-run"],
      ["restore", "--repo", repository, "--data", try folder.makeDirectory("other")],
    ] {
      let result = try await LifeboatCommand.run(arguments + ["--json"])
      #expect(result.exitCode == 0, "\(result)")
      for field in topLevelFields(result.outputText) {
        #expect(text.contains("`\(field)`"), "\(field) of \(arguments[0]) is not in scripting.md")
      }
    }
  }

  /// The names at the first level of a pretty-printed JSON document.
  private func topLevelFields(_ json: String) -> [String] {
    json.split(separator: "\n").filter { $0.hasPrefix("  \"") }.map { line in
      String(line.dropFirst(3).prefix { $0 != "\"" })
    }
  }

  static let dump =
    "524544495330303130fa0972656469732d76657206372e302e3135fa0a72656469732d62697473c040"
    + "fa056374696d65c22d5d036bfa08757365642d6d656dc2d8d70f00fa08616f662d62617365c000"
    + "fe00fb0300000161c00112016c01020909000000010001"
    + "01ff1001680d0d00000002008166028176" + "02ffff44fb4e22b99b3e88"
}
