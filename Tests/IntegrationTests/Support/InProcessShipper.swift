import BackupTypes
import Codec
import HistoryLogic
import Logging
import ObjectStorage
import RepositoryAccess
import Shipping
import SystemIO
import SystemPackage
import TestSupport
import WriterLogic

/// A shipper inside the test's process, with a store that can fail, wait and count.
struct InProcessShipper {
  let shipper: Shipper
  private let task: Task<Shipper.Outcome, any Error>

  init(
    data: String, store: any ObjectStore, host: String = "test",
    change: (inout Shipper.Options) -> Void = { _ in }
  ) throws {
    var writing = Writing.Options()
    writing.shipInterval = 100
    writing.dumpInterval = 0
    var options = Shipper.Options(
      data: FilePath(data), names: ServerNames(), compression: .zstd, source: "test", host: host,
      takesOver: false, isOnce: false, writing: writing, readLimit: nil, pinnedMax: 1 << 30,
      shutdownTimeout: 30_000, writer: "test")
    change(&options)
    let shipper = Shipper(
      options: options, store: store, status: ShipStatus(time: SystemClock()),
      stop: StopRequest(time: SystemClock()),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let pool = try BlockingPool(name: "ship", threads: 6)
    self.shipper = shipper
    task = Task { try await withTaskExecutorPreference(pool) { try await shipper.run() } }
  }

  var status: ShipStatus.Value { shipper.status.current }

  /// Shuts down cleanly, as after SIGTERM.
  func end() async throws -> Shipper.Outcome {
    shipper.requestStop()
    return try await task.value
  }

  /// Has the effect of SIGKILL: nothing new is started.
  func abandon() async {
    task.cancel()
    _ = try? await task.value
  }
}

extension FaultyStore {
  /// The number of requested creations whose names match. Held ones count, too.
  func creations(_ matches: (String) -> Bool) -> Int {
    calls.count { $0.operation == .create && matches($0.name) }
  }
}
