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

/// A shipper inside the test's process, so that its store can fail, wait and count.
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

  /// An orderly end, as SIGTERM asks for it.
  func end() async throws -> Shipper.Outcome {
    shipper.requestStop()
    return try await task.value
  }

  /// As good as SIGKILL: from now on nothing more is begun.
  func abandon() async {
    task.cancel()
    _ = try? await task.value
  }
}

extension FaultyStore {
  /// Creations that the store was asked for under a prefix. A held one counts.
  func creations(_ matches: (String) -> Bool) -> Int {
    calls.count { $0.operation == .create && matches($0.name) }
  }
}
