import ArgumentParser
import BackupTypes
import RepositoryAccess
import Shipping
import StatusPages
import SystemIO

struct Sync: ExitingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make the running sidecar upload everything now.",
    discussion: """
      Use it before a risky change: `redis-cli WAITAOF 1 0 0` (or waiting two seconds) makes sure that \
      the data is on disk, and `lifeboat sync --wait` that it is backed up.

      Examples:
        lifeboat sync --wait --timeout 30s
      """)

  @OptionGroup var admin: AdminOptions
  @Flag(help: "Wait until the upload is complete.")
  var wait = false
  @Option(help: ArgumentHelp("How long to wait.", valueName: "time"))
  var timeout = Milliseconds(60_000)
  @Flag(help: "Print one JSON document.")
  var json = false

  private static let pollInterval = Duration.milliseconds(100)
  /// A directory counts as empty only after this time: the last look can be older than the files. In
  /// milliseconds.
  private static let patience: Int64 = 10_000

  func execute() async throws -> BackupTypes.ExitCode {
    let client = try AdminClient(admin)
    let number = try await client.post(SyncDocument.self, "/sync").sync
    let begun = SystemClock.monotonicMilliseconds()
    var most: UInt64 = 0
    while true {
      let status = try await client.get(StatusDocument.self, "/status")
      let isDone = status.syncDone >= number
      if isDone || !wait {
        if json {
          try Console.json(status)
        } else {
          Console.line(isDone ? "done: \(status.everything) is backed up" : "requested")
        }
        return .success
      }
      most = max(most, status.unshippedBytes)
      Progress.show("uploading", most - status.unshippedBytes, of: most)
      try fail(status, after: SystemClock.monotonicMilliseconds() - begun)
      try await Task.sleep(for: Sync.pollInterval)
    }
  }

  private func fail(_ status: StatusDocument, after waited: Int64) throws {
    if status.state == "standby" {
      throw LifeboatError(
        .refused, "this sidecar is in standby: another one ships to the repository",
        cause: status.reason, hint: "run sync on that sidecar; `lifeboat list` shows which it is")
    }
    if status.holdsData == false, waited >= min(timeout.value, Sync.patience) {
      throw LifeboatError(
        .failure, "there is nothing to ship: \(printable(status.data)) holds no Redis data",
        hint: "check the sidecar's --data, and that Redis persists: appendonly yes, or save")
    }
    guard waited >= timeout.value else { return }
    if let words = status.storeWords {
      throw LifeboatError(
        .storeUnavailable, "the store \(words)", cause: status.reason,
        hint: "the sidecar's log has the cause; `lifeboat doctor` says how to fix it")
    }
    let lag = humanDuration(milliseconds: Int64(status.lagSeconds * 1000))
    throw LifeboatError(
      .failure, "not backed up after \(humanDuration(milliseconds: timeout.value))",
      cause: status.reason ?? "\(humanBytes(status.unshippedBytes)) are left, the lag is \(lag)",
      hint: "wait longer with --timeout, or check the sidecar's log")
  }
}
