import BackupTypes
import FoundationEssentials
import TestSupport
import Testing

@testable import lifeboat

/// `fleet` on a thousand repositories. Each is reported correctly, and the command stays within its memory
/// limit.
@Suite struct FleetTests {
  private struct Document: Decodable {
    struct Row: Decodable {
      var name: String
      var state: String
    }
    var repositories: Int
    var states: [String: Int]
    var rows: [Row]
  }

  /// Copies a repository under many names, and breaks some of the copies.
  private static let generator = """
    import os, shutil, sys
    base, locked, target = sys.argv[1:]
    for number in range(1000):
        name = "%s/team-%02d/redis-%04d" % (target, number % 20, number)
        if number % 50 == 1: os.makedirs(name); continue
        shutil.copytree(locked if number % 50 == 2 else base, name)
        if number % 50 == 3:
            folder = name + "/timelines/00000001/snapshots/"
            path = folder + sorted(os.listdir(folder))[0]
            open(path, "wb").write(b"garbage")
        if number % 50 == 4: os.remove(name + "/lifeboat.json")
        if number % 50 == 5: os.chmod(name, 0)
    """

  /// Runs a command with its output in a file. Prints its exit code and its peak memory in KiB. See
  /// `ReaderMemoryTests`. Also for root, a mode counts: the command is without CAP_DAC_OVERRIDE (1) and
  /// CAP_DAC_READ_SEARCH (2).
  private static let measure = """
    import ctypes, os, sys
    out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o644)
    pid = os.fork()
    if pid == 0:
        os.dup2(out, 1)
        for capability in 1, 2: ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
        os.execv(sys.argv[2], sys.argv[2:])
    _, status, usage = os.wait4(pid, 0)
    print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
    """

  @Test func `a thousand repositories are named rightly within 64 MiB`() async throws {
    let folder = try TemporaryDirectory("fleet")
    let data = try folder.makeDirectory("data")
    try TestFiles.write(
      try #require(bytes(hexadecimal: ContractTests.dump)), to: data + "/dump.rdb")
    let key = try await LifeboatCommand.run(["keygen"]).outputText
    for (name, environment) in [("base", [:]), ("locked", ["LIFEBOAT_ENCRYPTION_KEY": key])] {
      let shipped = try await LifeboatCommand.run(
        [
          "ship", "--once", "--data", data, "--repo", try folder.makeDirectory(name), "--source",
          "shop",
        ],
        environment: environment)
      #expect(shipped.exitCode == 0, "\(shipped)")
    }
    let target = try folder.makeDirectory("fleet")
    let made = try ChildProcess(
      "/usr/bin/env",
      ["python3", "-c", Self.generator, folder("base"), folder("locked"), target],
      environment: ChildProcess.minimalEnvironment)
    #expect(try await made.wait(deadline: 120) == .exited(0))

    let (page, json) = (folder("page.html"), folder("fleet.json"))
    let measured = try ChildProcess(
      "/usr/bin/env",
      [
        "python3", "-c", Self.measure, json, LifeboatCommand.path, "fleet", "--repo", target,
        "--json", "--html", page, "--max-age", "0",
      ], environment: ChildProcess.minimalEnvironment, output: .file(folder("out")),
      errors: .file(folder("err")))
    try await measured.wait(deadline: 120)
    let numbers = try TestFiles.text(folder("out")).split { $0 == " " || $0 == "\n" }
      .compactMap { Int($0) }
    let errors = try TestFiles.text(folder("err"))
    try #require(numbers.count == 2, "\(errors)")
    #expect(numbers[0] == 5)
    #expect(numbers[1] <= (64 << 10) + ReaderMemoryTests.debugCode, "\(numbers[1]) KiB")
    let document = try JSONDecoder().decode(Document.self, from: Data(TestFiles.read(json)))
    #expect(document.repositories == 1000)
    #expect(
      document.states == ["damaged": 40, "denied": 20, "locked": 20, "empty": 20, "fine": 900])
    let expected = ["empty", "locked", "damaged", "damaged", "denied"]
    for row in document.rows {
      let number = try #require(Int(row.name.suffix(4)))
      let state = (1...5).contains(number % 50) ? expected[number % 50 - 1] : "fine"
      #expect(row.state == state, "\(row.name)")
    }
    let states = document.rows.map(\.state)
    #expect(states.prefix(100).allSatisfy { $0 != "fine" })
    let html = try TestFiles.text(page)
    #expect(html.contains("team-03/redis-0003") && html.contains("damaged: 40"))
    #expect(!html.contains("<script"))

    let some = try await LifeboatCommand.run(
      ["fleet", "--repo", target + "/team-06", "--max-age", "0"])
    #expect(some.exitCode == 0 && some.outputText.contains("redis-0006 (shop)\n"), "\(some)")
    let one = try await LifeboatCommand.run(["list", "--repo", target + "/team-06/redis-0006"])
    #expect(one.outputText.contains("\nsource: shop\n"), "\(one)")
    // For those who only know the prefix.
    let prefix = try await LifeboatCommand.run(["list", "--repo", target])
    #expect(prefix.exit == .corrupt && prefix.errorText.contains("`lifeboat fleet`"), "\(prefix)")
  }

  @Test
  func `variables of the copy's account replace those of the source, all of a vendor at once`() {
    let source = [
      "HOME": "/root", "AWS_ACCESS_KEY_ID": "a", "AWS_SESSION_TOKEN": "t", "GOOGLE_PROJECT": "g",
    ]
    #expect(CopyEnvironment.made(from: source) == source)
    let both = source.merging([
      "LIFEBOAT_TO_AWS_PROFILE": "dr", "LIFEBOAT_TO_ENCRYPTION_KEY": "k",
    ]) { $1 }
    let made = CopyEnvironment.made(from: both)
    #expect(
      made.filter { !$0.key.hasPrefix("LIFEBOAT_") } == [
        "HOME": "/root", "AWS_PROFILE": "dr", "GOOGLE_PROJECT": "g",
      ])
    #expect(CopyEnvironment.vendorVariable("LIFEBOAT_TO_AZURE_CLIENT_ID") == "AZURE_CLIENT_ID")
    #expect(CopyEnvironment.vendorVariable("LIFEBOAT_TO_CA_FILE") == nil)
  }
}
