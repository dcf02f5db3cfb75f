import BackupTypes
import Codec
import RepositoryAccess
import Shipping
import SystemIO
import TestSupport
import Testing
import WriterLogic

/// A requested `sync` is completed, whatever happens to the timeline meanwhile.
@Suite struct SyncTakenUpTests {
  @Test func `one that the end of a timeline cut off is done by the next`() async throws {
    let directory = try TemporaryDirectory("sync")
    let folder = try directory.makeDirectory("appendonlydir")
    let log = folder + "/appendonly.aof.1.incr.aof"
    try TestFiles.write(LogBytes.command("SET first 1"), to: log)
    try TestFiles.write(
      "file appendonly.aof.1.incr.aof seq 1 type i\n",
      to: folder + "/appendonly.aof.manifest")
    let store = FaultyStore(MemoryStore())
    let shipper = Shipper.made(of: directory.path, to: store)
    let status = shipper.status
    let running = Task { try await shipper.run() }
    defer { running.cancel() }
    let first = shipper.requestSync()
    try await eventually(
      deadline: 120, "the first command is durable",
      condition: { status.shipping.syncDone >= first }, state: { "\(status.current)" })
    // An error that is not retried ends the timeline.
    store.decide { call in
      call.operation == .create && call.name.hasPrefix("timelines/00000001/log/")
        ? .fail(FaultyStore.unreachable) : .pass
    }
    try TestFiles.append(LogBytes.command("SET second 2"), to: log)
    let number = shipper.requestSync()
    try await eventually(
      deadline: 120, "the sync is done", condition: { status.shipping.syncDone >= number },
      state: { "\(status.current)" })
    #expect(store.calls.contains { $0.name == "timelines/00000002/claim" })
  }
}
