import BackupTypes
import TestSupport
import Testing

/// Commands that read a repository stay within 64 MiB, whatever is in it. `scripts/bench readers` uses
/// 100,000 objects and 1 GiB.
@Suite struct ReaderMemoryTests {
  /// The allowance in KiB for a debug build. Both builds of `verify` have 30 to 33 MiB of data. The mapped
  /// code is 32 MiB in a debug build and 24 MiB in a release build. It grows with each feature.
  static let debugCode = 4 << 10
  /// The part of the 64 MiB that mapped code of a release build is taken to need, in KiB. What is mapped is not
  /// measured: it depends on the build, and the kernel can reclaim it.
  private static let code = 24 << 10
  static let commands = ["list", "inspect", "verify", "report", "prune"]

  /// Runs a command with a terminal. Prints its exit code and its peak memory in KiB, without the mapped
  /// files, of which there are more and more until it ends. Python forks the command, because a child of this
  /// process would start with the memory of this process.
  private static let program = """
    import os, pty, sys, threading, time
    pid, terminal = pty.fork()
    if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
    code = 0
    def sample():
        global code
        while True:
            try: lines = open(f"/proc/{pid}/status").read().splitlines()
            except OSError: return
            # While the command replaces this program, and after its end, the line is not there.
            for line in lines:
                if line.startswith("RssFile:"): code = max(code, int(line.split()[1]))
            time.sleep(0.002)
    threading.Thread(target=sample, daemon=True).start()
    seen = b""
    while True:
        try: part = os.read(terminal, 65536)
        except OSError: break
        if not part: break
        seen += part
    _, status, usage = os.wait4(pid, 0)
    print(os.waitstatus_to_exitcode(status), usage.ru_maxrss - code)
    sys.stderr.buffer.write(seen[-2000:])
    """

  @Test func `readers of many objects stay within 64 MiB`() async throws {
    try await expectBounded(
      ["--objects", "20000", "--snapshots", "60", "--bytes", "\(64 << 20)"]
    ) { command, number, text in
      #expect(number == 0, "\(command): \(text)")
    }
  }

  /// Twelve snapshots that each cut a log into 60,000 spans, which only an intruder would write. This is more
  /// than a reader keeps in memory. It may refuse or leave some out, but must not grow.
  @Test func `readers of snapshots that name 700,000 spans of log do not grow with them`()
    async throws
  {
    try await expectBounded(
      ["--objects", "3000", "--snapshots", "12", "--bytes", "\(2 << 20)", "--spans", "60000"],
      // In addition to the limit, since the JSON decoder takes several times the size of the record that it
      // reads.
      allowing: 32 << 10
    ) { command, number, text in
      #expect([0, 5].contains(number), "\(command): \(text)")
    }
  }

  /// - Parameter more: the KiB that are allowed in addition to the 64 MiB.
  private func expectBounded(
    _ repository: [String], allowing more: Int = 0,
    _ check: (_ command: String, _ exit: Int, _ text: String) -> Void
  ) async throws {
    let folder = try TemporaryDirectory("large")
    let made = try ChildProcess(
      "/usr/bin/env",
      ["python3", Checkout.root + "/scripts/large-repository", folder("repository")] + repository,
      environment: ChildProcess.minimalEnvironment)
    #expect(try await made.wait(deadline: 120) == .exited(0))
    let options = ["report": ["--output", folder("page.html")], "prune": ["--dry-run"]]
    for command in Self.commands {
      let child = try ChildProcess(
        "/usr/bin/env",
        [
          "python3", "-c", Self.program, LifeboatCommand.path, command, "--repo",
          folder("repository"),
        ] + options[command, default: []], environment: ChildProcess.minimalEnvironment,
        output: .file(folder("\(command).out")),
        errors: .file(folder("\(command).err")))
      try await child.wait(deadline: 300)
      let numbers = try TestFiles.text(folder("\(command).out")).split { $0 == " " || $0 == "\n" }
        .compactMap { Int($0) }
      let text = try TestFiles.text(folder("\(command).err"))
      try #require(numbers.count == 2, "\(command): \(text)")
      #expect(
        numbers[1] <= (64 << 10) - Self.code + Self.debugCode + more,
        "\(command): \(numbers[1]) KiB")
      check(command, numbers[0], text)
    }
  }
}
