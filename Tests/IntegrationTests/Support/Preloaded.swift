import Glibc
import TestSupport

/// Builds a library of `Tests/Shims` for LD_PRELOAD.
private func preload(_ name: String, _ folder: TemporaryDirectory) async throws -> String {
  let library = folder(name + ".so")
  let compiler = try ChildProcess(
    "/usr/bin/env",
    [
      "clang", "-shared", "-fPIC", "-o", library, Checkout.root + "/Tests/Shims/\(name).c", "-ldl",
    ], errors: .file(folder(name + ".errors")))
  let end = try await compiler.wait(deadline: 60)
  guard end == .exited(0) else {
    throw HarnessError("clang: \(end) \((try? TestFiles.text(folder(name + ".errors"))) ?? "")")
  }
  return library
}

/// A wall clock that a test sets for the processes that are started with `environment`. Their monotonic clock
/// and file times are not changed.
struct SteppedClock {
  private let file: String
  let environment: [String: String]

  init(_ folder: TemporaryDirectory, seconds: Int) async throws {
    file = folder("clock")
    environment = ["LD_PRELOAD": try await preload("clock", folder), "CLOCK_FILE": file]
    try set(seconds: seconds)
  }

  /// From now on, the clock is this far ahead of the machine's.
  func set(seconds: Int) throws {
    guard let stream = fopen(file, access(file, F_OK) == 0 ? "r+" : "w") else {
      throw HarnessError("can't open \(file)")
    }
    var value = Int64(seconds)
    fwrite(&value, 8, 1, stream)
    fclose(stream)
  }
}

/// A directory that a process can lose like an NFS mount: while `isStale` is set, every call on a file below
/// it fails with ESTALE.
struct StaleDirectory {
  private let flag: String
  let environment: [String: String]

  init(_ folder: TemporaryDirectory, _ directory: String) async throws {
    flag = folder("is-stale")
    environment = [
      "LD_PRELOAD": try await preload("stale", folder), "STALE_FLAG": flag, "STALE_PATH": directory,
    ]
  }

  func isStale(_ isStale: Bool) throws {
    if isStale { try TestFiles.write("", to: flag) } else { TestFiles.remove(flag) }
  }
}
