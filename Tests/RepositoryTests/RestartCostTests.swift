import BackupFormat
import BackupTypes
import Codec
import ObjectStorage
import RepositoryAccess
import Shipping
import Synchronization
import SystemIO
import TestSupport
import Testing
import WriterLogic

/// How much a shipper that was restarted requests of a repository before its first new byte is durable.
@Suite struct RestartCostTests {
  /// Counts what is requested until an object with a certain beginning of its name exists.
  private final class CountedStore: StoreLayer {
    struct Counts: Equatable {
      /// The pages of complete listings, which have a thousand names each.
      var pages = 0
      /// All other requests.
      var others = 0
      var bytes = 0
      var isOver = false
    }
    let base: any ObjectStore
    private let end: String
    private let state = Mutex(Counts())

    init(_ base: any ObjectStore, until end: String) {
      self.base = base
      self.end = end
    }

    var counts: Counts { state.withLock { $0 } }

    private func count(_ change: (inout Counts) -> Void) {
      state.withLock { if !$0.isOver { change(&$0) } }
    }

    func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
      let outcome = try await base.create(name, bytes)
      count { counts in
        counts.others += 1
        counts.bytes += bytes.count
        counts.isOver = name.hasPrefix(end)
      }
      return outcome
    }
    func read(_ name: String, limit: Int) async throws -> [UInt8]? {
      let bytes = try await base.read(name, limit: limit)
      count { counts in
        counts.others += 1
        counts.bytes += bytes?.count ?? 0
      }
      return bytes
    }
    func list(prefix: String, continuing: String?) async throws -> ListPage {
      let page = try await base.list(prefix: prefix, continuing: continuing)
      count { if prefix.isEmpty { $0.pages += 1 } else { $0.others += 1 } }
      return page
    }
    func folder(_ prefix: String) async throws -> StoreFolder {
      count { $0.others += 1 }
      return try await base.folder(prefix)
    }
  }

  /// Ships until `condition`, and is killed.
  private func ship(
    _ path: String, to store: any ObjectStore, until condition: (ShipStatus) -> Bool
  ) async throws {
    let shipper = Shipper.made(of: path, to: store)
    let status = shipper.status
    // A shipper that waits keeps its thread.
    let pool = try BlockingPool(name: "ship", threads: 6)
    let running = Task {
      try await withTaskExecutorPreference(pool) { try await shipper.run() }
    }
    _ = shipper.requestSync()
    do {
      try await eventually(
        deadline: 120, "it ships", condition: { condition(status) },
        state: { "\(status.current)" })
    } catch {
      running.cancel()
      throw error
    }
    running.cancel()
    _ = try? await running.value
  }

  /// A shipper that ran before, and `objects` objects of log that it shipped long ago, with a snapshot for
  /// every 200 of them.
  private func restart(beside objects: Int) async throws -> CountedStore.Counts {
    let directory = try TemporaryDirectory("restart")
    let folder = try directory.makeDirectory("appendonlydir")
    let log = folder + "/appendonly.aof.1.incr.aof"
    try TestFiles.write(LogBytes.command("SET first 1"), to: log)
    try TestFiles.write(
      "file appendonly.aof.1.incr.aof seq 1 type i\n", to: folder + "/appendonly.aof.manifest")
    let memory = MemoryStore()
    try await ship(directory.path, to: memory) { $0.shipping.syncDone > 0 }
    let repository = try await Repository.openOrCreate(
      memory, keys: .none, compression: .none, now: SystemClock.now())
    let claim = try await repository.claim(.first)
    let made = try await repository.snapshot(.first, 1, nonce: claim.nonce)
    var snapshot = try #require(made)
    for sequence in 2..<2 + objects / 200 {
      snapshot.sequence = sequence
      _ = try await repository.create(
        snapshot, .snapshot(.first, sequence: sequence), kind: .snapshot)
    }
    let digest = repository.frame.digest([1]).short
    for number in 0..<objects {
      let from = UInt64(number / 10) * 100
      let span = LogSpan(from: from, to: from + 100, mark: claim.claimedAt, digest: digest)
      _ = try await memory.create(
        ObjectPath.log(.first, ordinal: 1001 + number % 10, span).text, [1])
    }
    try TestFiles.append(LogBytes.command("SET second 2"), to: log)
    let counted = CountedStore(memory, until: "timelines/00000002/log/")
    try await ship(directory.path, to: counted) { _ in counted.counts.isOver }
    return counted.counts
  }

  /// The names are listed once, a thousand at a time. Nothing else grows with the history.
  @Test func `a restart beside a large history`() async throws {
    let small = try await restart(beside: 1000)
    let large = try await restart(beside: 100_000)
    #expect(small.pages <= 2)
    #expect(large.pages <= 102)
    #expect(large.others <= small.others + 2)
    #expect(large.bytes <= small.bytes + 1024)
  }
}
