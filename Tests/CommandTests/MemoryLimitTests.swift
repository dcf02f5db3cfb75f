import BackupTypes
import TestSupport
import Testing

/// `--memory` means that the command completes in a cgroup with this limit and without swap. If no cgroup can
/// be made, the resident memory is compared with the limit.
@Suite struct MemoryLimitTests {
  /// The MiB of an incompressible full copy: many times the limit.
  private static let copy = 160

  /// Writes an RDB of incompressible strings of 1 MiB each, without a checksum.
  private static let dump = """
    import os, struct, sys
    with open(sys.argv[1], "wb") as file:
        count = int(sys.argv[2])
        file.write(b"REDIS0010\\xfe\\x00\\xfb\\x80" + struct.pack(">I", count) + b"\\x00")
        for number in range(count):
            file.write(b"\\x00\\x06%06d\\x80" % number + struct.pack(">I", 1 << 20) + os.urandom(1 << 20))
        file.write(b"\\xff" + bytes(8))
    """

  /// Runs a command in a cgroup of its own, version 1 or 2. Prints its exit code, whether there was a cgroup,
  /// and the peak memory in KiB: of the cgroup, or otherwise the resident memory.
  private static let program = """
    import os, sys
    limit, command = int(sys.argv[1]), sys.argv[2:]
    def write(path, text):
        with open(path, "w") as file: file.write(text)
    def make():
        for line in open("/proc/self/cgroup").read().split("\\n"):
            number, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if number == "0": bases, names = ["/sys/fs/cgroup" + path, "/sys/fs/cgroup"], \\
                ("memory.max", "memory.swap.max", "memory.peak", "0")
            elif "memory" in controllers.split(","): bases, names = ["/sys/fs/cgroup/memory"], \\
                ("memory.limit_in_bytes", "memory.swappiness", "memory.max_usage_in_bytes", "0")
            else: continue
            for base in bases:
                made = "%s/lifeboat-%d" % (base.rstrip("/"), os.getpid())
                try: os.mkdir(made)
                except OSError: continue
                try:
                    write(made + "/" + names[0], str(limit))
                    if os.path.exists(made + "/" + names[1]): write(made + "/" + names[1], names[3])
                    return made, made + "/" + names[2]
                except OSError: os.rmdir(made)
        return None, None
    group, peak = make()
    child = os.fork()
    if child == 0:
        if group: write(group + "/cgroup.procs", str(os.getpid()))
        os.execv(command[0], command)
    _, status, usage = os.wait4(child, 0)
    used = usage.ru_maxrss
    if group:
        try: used = int(open(peak).read()) >> 10
        except OSError: pass
        os.rmdir(group)
    print(os.waitstatus_to_exitcode(status), int(group is not None), used)
    """

  private struct Run {
    var code: Int
    var isLimited: Bool
    var peakKiB: Int
    var errors: String
  }

  private static func run(
    _ arguments: [String], mebibytes: Int, _ folder: TemporaryDirectory, _ name: String,
    environment: [String: String] = [:]
  ) async throws -> Run {
    let child = try ChildProcess(
      "/usr/bin/env",
      [
        "python3", "-c", program, "\(mebibytes << 20)", LifeboatCommand.path,
      ] + arguments + ["--memory", "\(mebibytes)MiB"],
      environment: ChildProcess.minimalEnvironment.merging(environment) { $1 },
      output: .file(folder(name + ".out")), errors: .file(folder(name + ".err")))
    try await child.wait(deadline: 300)
    let text = try TestFiles.text(folder(name + ".err"))
    let numbers = try TestFiles.text(folder(name + ".out")).split { $0 == " " || $0 == "\n" }
      .suffix(3).compactMap { Int($0) }
    try #require(numbers.count == 3, "\(name): \(text)")
    return Run(code: numbers[0], isLimited: numbers[1] == 1, peakKiB: numbers[2], errors: text)
  }

  private func check(_ run: Run, _ what: String, mebibytes: Int) {
    #expect(run.code == 0, "\(what): \(run.errors)")
    if !run.isLimited {
      let most = mebibytes << 10 + ReaderMemoryTests.debugCode
      #expect(run.peakKiB <= most, "\(what): \(run.peakKiB) KiB resident")
    }
  }

  @Test(arguments: [52, 64])
  func `a full copy goes to stores, from one to another, and back within the limit`(mebibytes: Int)
    async throws
  {
    let folder = try TemporaryDirectory("limit")
    try TestFiles.makeDirectory(folder("data"))
    let made = try ChildProcess(
      "/usr/bin/env", ["python3", "-c", Self.dump, folder("data/dump.rdb"), "\(Self.copy)"],
      environment: ChildProcess.minimalEnvironment)
    #expect(try await made.wait(deadline: 120) == .exited(0))
    try TestFiles.write(try await LifeboatCommand.run(["keygen"]).outputText, to: folder("key"))
    let server = try FaultS3Server()
    let store = "s3://bucket/limit?endpoint=\(server.url)&path-style=true&region=us-east-1"
    let keys = [
      "AWS_ACCESS_KEY_ID": FaultS3Server.accessKey,
      "AWS_SECRET_ACCESS_KEY": FaultS3Server.secretKey,
    ]
    for (name, arguments) in [
      ("ship", ["ship", "--once", "--repo", folder("repository"), "--data", folder("data")]),
      ("restore", ["restore", "--repo", folder("repository"), "--data", folder("again")]),
      ("ship to S3", ["ship", "--once", "--repo", store, "--data", folder("data")]),
      ("verify", ["verify", "--repo", store]),
      ("restore from S3", ["restore", "--repo", store, "--data", folder("back")]),
      ("copy", ["copy", "--repo", store, "--to", folder("copy"), "--read-back"]),
      (
        "copy with another key",
        [
          "copy", "--repo", folder("repository"), "--to", store.replacing("limit?", with: "copy?"),
          "--to-encryption-key-file", folder("key"),
        ]
      ),
    ] {
      let run = try await Self.run(
        arguments, mebibytes: mebibytes, folder, name, environment: keys)
      check(run, name, mebibytes: mebibytes)
    }
  }

  @Test func `too little memory is a usage error`() async throws {
    let result = try await LifeboatCommand.run([
      "list", "--repo", "/nowhere", "--memory", "51MiB",
    ])
    #expect(result.exitCode == 2, "\(result)")
    #expect(result.errorText.contains("--memory"), "\(result)")
  }
}
