import ArgumentParser
import BackupTypes
import Replication
import StatusPages
import SystemIO

struct Sync: ExitingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make the running sidecar ship what is on disk now.",
    discussion: """
      Before something risky: `redis-cli WAITAOF 1 0 0` (or a second's patience) puts it on disk, and \
      `lifeboat sync --wait` into the repository.
      """)

  @OptionGroup var admin: AdminOptions
  @Flag(help: "Wait until it is durable in the repository.")
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
    while true {
      let status = try await client.get(StatusDocument.self, "/status")
      let isDone = status.syncDone >= number
      if isDone || !wait {
        if json {
          try Console.json(status)
        } else {
          Console.line(isDone ? "durable: what was on disk is in the repository" : "asked for")
        }
        return .success
      }
      try fail(status, after: SystemClock.monotonicMilliseconds() - begun)
      try await Task.sleep(for: Sync.pollInterval)
    }
  }

  private func fail(_ status: StatusDocument, after waited: Int64) throws {
    if status.state == "standby" {
      throw LifeboatError(
        .refused, "this sidecar ships nothing: another owns the repository",
        cause: status.reason, hint: "ask the one that does, or see `lifeboat list`")
    }
    if status.holdsData == false, waited >= min(timeout.value, Sync.patience) {
      throw LifeboatError(
        .failure, "there is nothing to ship: \(printable(status.data)) holds nothing of Redis",
        hint: "check the sidecar's --data, and that Redis saves: appendonly yes, or save points")
    }
    guard waited >= timeout.value else { return }
    if let words = status.storeWords {
      throw LifeboatError(
        .storeUnavailable, "the store \(words)", cause: status.reason,
        hint: "the sidecar's log names the cause, and `lifeboat doctor` what to do about it")
    }
    let lag = humanDuration(milliseconds: Int64(status.lagSeconds * 1000))
    throw LifeboatError(
      .failure, "not durable after \(humanDuration(milliseconds: timeout.value))",
      cause: status.reason ?? "\(humanBytes(status.unshippedBytes)) are left, the lag is \(lag)",
      hint: "wait longer with --timeout, or look at its log")
  }
}
