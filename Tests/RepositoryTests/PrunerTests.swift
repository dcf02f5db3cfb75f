import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import Recovery
import RepositoryAccess
import Synchronization
import SystemPackage
import TestSupport
import Testing
import WriterLogic

/// Retention on a store. Whatever stops it, and whatever else runs at the same time, nothing that is needed
/// is lost. `verify` distinguishes deleted objects from lost ones.
@Suite struct PrunerTests {
  private static let policy = RetentionPolicy(keepWithin: 2 * RetentionPolicy.day, keepDaily: 4)

  /// Times that the policy keeps.
  private func promises(_ history: VirtualHistory) -> [Instant] {
    let since = Retention.fullSince(history.now, PrunerTests.policy)
    let midnight = since.milliseconds / RetentionPolicy.day * RetentionPolicy.day
    let days = (0..<4).map {
      Instant(
        milliseconds: midnight - Int64($0) * RetentionPolicy.day - VirtualHistory.step * 1000)
    }
    let within = stride(from: Int64(0), through: history.now.since(since), by: 7 * 3_600_000).map {
      since.advanced(byMilliseconds: $0 / 600_000 * 600_000)
    }
    return days + within + [history.now]
  }

  private func check(_ store: any ObjectStore, _ history: VirtualHistory, _ what: String)
    async throws
  {
    for instant in promises(history) {
      let found = try await VirtualHistory.restored(store, at: instant, now: history.now)
      let expected = instant.since(VirtualHistory.start) / 1000 / VirtualHistory.step
      #expect(Int64(found.count) == expected, "\(what): at \(instant)")
    }
    let newest = try await VirtualHistory.restored(store, at: nil, now: history.now)
    #expect(newest.count == history.redis.count, "\(what)")
    let now = history.now
    let report = try await Verifier(
      store, options: .init(sample: nil, by: "test"), now: { now }, draw: { 0 },
      progress: { _, _ in }
    ).run()
    #expect(report.isSound, "\(what): \(report.text)")
  }

  /// The ceiling, checked by the contents of objects: a value that was overwritten before it is in none of
  /// them. An expired pin, an unfinished upload, or a BASE that the last rewrite replaced long ago does not
  /// keep it. What a rewrite has not replaced yet is on Redis's own disk, too.
  @Test(arguments: [Int.max, 3])
  func `no object holds what was overwritten before the ceiling`(rewritesFor days: Int) async throws
  {
    let history = try await VirtualHistory(days: 20, rewrites: days)
    let (store, start) = (history.store, VirtualHistory.start)
    let repository = history.repository
    let pin = Pin(
      id: "p", repository: repository.id, origin: .drop, reason: "test", at: start,
      until: start.advanced(byMilliseconds: 10 * RetentionPolicy.day), timeline: .first,
      snapshot: 1, position: nil)
    _ = try await repository.create(pin, .operation(.pins, id: pin.id), kind: .operation)
    // The store has had the pin and the piece since the beginning.
    let late = history.clock.now
    history.clock.set(start)
    let left = GenerationID(
      fingerprint: ShortDigest(bytes: [UInt8](repeating: 5, count: 16))!, nonce: nonce(1))
    let old = VirtualRedis.dump(count: 0)
    try await repository.createContent(
      old, .piece(left, number: 0, repository.frame.digest(old).short), kind: .piece)
    history.clock.set(late)
    store.overwrite(ObjectPath.operation(.pins, id: pin.id).text, store.contents["ops/pins/p"]!)
    let early = try await lowest(store, repository)
    #expect(early == 0)
    for _ in 0..<2 { _ = try await history.pruner(PrunerTests.policy, on: store).run() }
    // Two days, the day that began before them, four days and a grace period, and one rewrite.
    let policy = (2 + 1 + 4 + 1) * 144 + 2 * 36
    let ceiling = min(history.redis.count - policy, (min(days, 20) - 1) * 144)
    let found = try await lowest(store, repository)
    #expect(found > ceiling, "a value of step \(found) is left")
    try await check(store, history, "done")
    let report = try await history.pruner(PrunerTests.policy, on: store, isDryRun: true).run()
    #expect(report.held.isEmpty == (days == .max), "\(report.text)")
    if days != .max {
      #expect(
        report.text.contains("the newest state needs data since"), "\(report.text)")
    }
  }

  /// The oldest value of `c` in any dump, BASE or log.
  private func lowest(_ store: MemoryStore, _ repository: Repository) async throws -> Int {
    var lowest = Int.max
    for (name, object) in store.contents {
      switch ObjectPath(name) {
      case .piece(let id, let number, let digest)?:
        let path = ObjectPath.piece(id, number: number, digest)
        let bytes = try repository.frame.open(
          object, kind: .piece, name: path, limit: GenerationIndex.pieceBytes
        ).content
        lowest = min(lowest, try #require(VirtualRedis.count(dump: bytes, logs: [])))
      case .log(let timeline, let ordinal, let span)?:
        let path = ObjectPath.log(timeline, ordinal: ordinal, span)
        let content = try repository.frame.open(
          object, kind: .log, name: path, limit: LogPayload.sizeMax
        ).content
        let log = String(
          decoding: try LogPayload(decoding: content, span: span).bytes, as: UTF8.self)
        lowest = min(lowest, try #require(Int(log.split(separator: "\r\n")[6])))
      default: break
      }
    }
    return lowest
  }

  @Test func `a pin is named for as long as only it keeps its state`() async throws {
    let history = try await VirtualHistory(days: 20)
    let until = history.now.advanced(byMilliseconds: 10 * RetentionPolicy.day)
    let pin = Pin(
      id: "p", repository: history.repository.id, origin: .drop, reason: "test", at: history.now,
      until: until, timeline: .first, snapshot: 2, position: nil)
    _ = try await history.repository.create(
      pin, .operation(.pins, id: pin.id), kind: .operation)
    let report = try await history.pruner(PrunerTests.policy, on: history.store).run()
    #expect(report.held.map(\.pin) == ["p"] && report.held[0].until == until.description)
    #expect(report.text.contains("the pin p keeps data since"), "\(report.text)")
  }

  @Test func `stopped at any object, it loses nothing, and the next run ends it`() async throws {
    let history = try await VirtualHistory(days: 12)
    try await check(history.store, history, "before")
    let done = history.store.copy()
    let report = try await history.pruner(PrunerTests.policy, on: done).run()
    #expect(report.result == .pruned && report.points > report.pointsLeft, "\(report)")
    try await check(done, history, "done")
    let removed = Set(history.store.names).subtracting(done.names).count
    #expect(removed > 100)
    for stop in stride(from: 0, through: removed, by: 1 + removed / 24) {
      let store = history.store.copy()
      let left = Mutex(stop)
      let stopping = FaultyStore(store) { call in
        guard call.operation == .delete else { return .pass }
        let isOver = left.withLock { left in
          left -= 1
          return left < 0
        }
        return isOver ? .fail(FaultyStore.unreachable) : .pass
      }
      await #expect(throws: LifeboatError.self, "stopped at \(stop)") {
        _ = try await history.pruner(PrunerTests.policy, on: stopping).run()
      }
      try await check(store, history, "stopped at \(stop)")
      _ = try await history.pruner(PrunerTests.policy, on: store).run()
      try await check(store, history, "stopped at \(stop), then ended")
      let isRecord: (String) -> Bool = { $0.hasPrefix("ops/prunes/") }
      #expect(
        store.names.filter { !isRecord($0) } == done.names.filter { !isRecord($0) }, "\(stop)")
      #expect(store.names.count(where: isRecord) == 1, "\(stop)")
    }
  }

  @Test func `credentials that only append are told what that means`() async throws {
    let history = try await VirtualHistory(days: 12)
    let denied = LifeboatError(.storeUnavailable, "can't delete x", cause: "AccessDenied").denied()
    let store = FaultyStore(history.store.copy()) {
      $0.operation == .delete ? .fail(denied) : .pass
    }
    let error = await #expect(throws: LifeboatError.self) {
      _ = try await history.pruner(PrunerTests.policy, on: store).run()
    }
    #expect(
      error?.isDenied == true && error?.hint?.contains("--no-prune") == true,
      "\(String(describing: error))")
  }

  @Test func `two at once end where one ends`() async throws {
    let history = try await VirtualHistory(days: 10)
    let store = history.store.copy()
    let pruners = [
      try await history.pruner(PrunerTests.policy, on: store),
      try await history.pruner(PrunerTests.policy, on: store),
    ]
    try await withThrowingTaskGroup(of: Void.self) { group in
      for pruner in pruners { group.addTask { _ = try await pruner.run() } }
      try await group.waitForAll()
    }
    try await check(store, history, "two at once")
    let again = try await history.pruner(PrunerTests.policy, on: store).run()
    #expect(again.result == .nothing, "\(again)")
  }

  @Test func `most of a history goes only when it was said a day before, or is confirmed`()
    async throws
  {
    let history = try await VirtualHistory(days: 12)
    let policy = RetentionPolicy(keepWithin: 0, keepHourly: 0, keepDaily: 0)
    let before = history.store.names
    let dry = try await history.pruner(policy, on: history.store, isDryRun: true).run()
    #expect(dry.result == .planned && history.store.names == before)
    let first = try await history.pruner(policy, on: history.store, isConfirmed: false).run()
    #expect(first.result == .announced && first.due != nil)
    #expect(Set(history.store.names).subtracting(before).count == 1)
    let second = try await history.pruner(policy, on: history.store, isConfirmed: false).run()
    #expect(second.result == .waiting && second.due == first.due)
    history.clock.set(history.now.advanced(byMilliseconds: RetentionPolicy.grace))
    let third = try await history.pruner(policy, on: history.store, isConfirmed: false).run()
    #expect(third.result == .pruned && history.store.names.count < before.count / 2)
    let newest = try await VirtualHistory.restored(history.store, at: nil, now: history.now)
    #expect(newest.count == history.redis.count)
  }

  @Test func `a snapshot that is missing is lost once somebody says so, for every later run`()
    async throws
  {
    let history = try await VirtualHistory(days: 10)
    let lost = [3, 4, 9].map { ObjectPath.snapshot(.first, sequence: $0).text }
    for name in lost { history.store.lose(name) }
    let before = history.store.names
    let refused = await #expect(throws: LifeboatError.self) {
      _ = try await history.pruner(PrunerTests.policy, on: history.store, isConfirmed: false).run()
    }
    #expect(refused?.code == .corrupt && refused?.hint?.contains("--confirm") == true)
    let dry = try await history.pruner(PrunerTests.policy, on: history.store, isDryRun: true).run()
    #expect(dry.lost == 3 && history.store.names == before, "\(dry)")
    // Nothing else may be deleted. Later runs only rely on the record.
    let keep = RetentionPolicy(keepWithin: 30 * RetentionPolicy.day)
    let quiet = history.store.copy()
    let kept = try await history.pruner(keep, on: quiet).run()
    #expect(kept.lost == 3 && kept.snapshots == 0, "\(kept)")
    #expect(quiet.names.contains { $0.hasPrefix("ops/prunes/") })
    let later = try await history.pruner(PrunerTests.policy, on: quiet, isConfirmed: false).run()
    #expect(later.lost == 0 && later.result != .nothing, "\(later)")

    let report = try await history.pruner(PrunerTests.policy, on: history.store).run()
    #expect(report.result == .pruned && report.lost == 3 && report.text.contains("lost: 3"))
    let again = try await history.pruner(
      PrunerTests.policy, on: history.store, isConfirmed: false
    ).run()
    #expect(again.result == .nothing && again.lost == 0, "\(again)")
    try await check(history.store, history, "a loss that was accepted")
  }

  @Test func `a snapshot that a listing merely lacks is not lost, whoever says so`() async throws {
    let history = try await VirtualHistory(days: 10)
    let hidden = ObjectPath.snapshot(.first, sequence: 3).text
    let before = history.store.names
    for lists in [1, Int.max] {
      let store = HidingStore(history.store, hidden, lists: lists)
      let refused = await #expect(throws: LifeboatError.self) {
        _ = try await history.pruner(PrunerTests.policy, on: store).run()
      }
      #expect(refused?.code == .storeUnavailable, "\(String(describing: refused))")
      #expect(history.store.names == before)
    }
  }

  @Test func `a damaged snapshot names its way out, and it works`() async throws {
    let history = try await VirtualHistory(days: 10)
    let name = ObjectPath.snapshot(.first, sequence: 3).text
    history.store.overwrite(name, [1, 2, 3])
    let before = history.store.names
    let refused = await #expect(throws: LifeboatError.self) {
      _ = try await history.pruner(PrunerTests.policy, on: history.store).run()
    }
    #expect(refused?.code == .corrupt && refused?.hint?.contains(name) == true)
    #expect(refused?.hint?.contains("prune --repo") == true, "\(String(describing: refused))")
    #expect(history.store.names == before)
    history.store.lose(name)
    let report = try await history.pruner(PrunerTests.policy, on: history.store).run()
    #expect(report.result == .pruned && report.lost == 1, "\(report)")
  }

  @Test func `a repository that lacks an object is left as it is`() async throws {
    let history = try await VirtualHistory(days: 10)
    let lost = ObjectPath.snapshot(.first, sequence: 3).text
    #expect(history.store.names.contains(lost))
    history.store.lose(lost)
    let before = history.store.names
    await #expect(throws: LifeboatError.self) {
      _ = try await history.pruner(PrunerTests.policy, on: history.store, isConfirmed: false).run()
    }
    #expect(history.store.names == before)
  }

  @Test
  func
    `what a shipper with credentials that only append leaves behind goes, when its fold is sound`()
    async throws
  {
    var options = Writing.Options()
    options.removesFolded = false
    let history = try await VirtualHistory(days: 3, options: options)
    let policy = RetentionPolicy(keepWithin: 30 * RetentionPolicy.day)
    history.clock.set(history.now.advanced(byMilliseconds: 2 * RetentionPolicy.day))
    // A damaged fold does not cover anything.
    let damaged = history.store.copy()
    let folds = damaged.names.filter { name in
      guard case .log(_, _, let span) = ObjectPath(name) else { return false }
      return span.count > 500
    }
    let fold = try #require(folds.first)
    var bytes = damaged.contents[fold]!
    bytes[bytes.count - 1] ^= 1
    damaged.overwrite(fold, bytes)

    let before = history.store.names.count
    let report = try await history.pruner(policy, on: history.store).run()
    #expect(report.foldedObjects > 300 && report.points == report.pointsLeft, "\(report)")
    #expect(history.store.names.count == before - report.foldedObjects)
    for tick in stride(from: 1, through: history.redis.count, by: 29) {
      let instant = VirtualHistory.start.advanced(
        byMilliseconds: Int64(tick) * VirtualHistory.step * 1000)
      let found = try await VirtualHistory.restored(history.store, at: instant, now: history.now)
      #expect(found.count == tick)
    }

    let unproved = try await history.pruner(policy, on: damaged).run()
    #expect(damaged.names.count > history.store.names.count)
    #expect(damaged.names.count == before - unproved.foldedObjects, "only what was deleted counts")
    guard case .log(_, let ordinal, let span) = ObjectPath(fold) else { return }
    let parts = damaged.names.filter { name in
      guard case .log(_, ordinal, let part) = ObjectPath(name) else { return false }
      return part.from >= span.from && part.to <= span.to && part != span
    }
    #expect(parts.count > 10)
  }

  @Test func `a restore whose objects go while it runs changes nothing, or ends whole`()
    async throws
  {
    let history = try await VirtualHistory(days: 12)
    let folder = try TemporaryDirectory("prune")
    let data = try folder.makeDirectory("data")
    let store = FaultyStore(history.store)
    let gate = store.hold { operation, name in operation == .read && name.contains("/log/") }
    // From the first days, which no policy keeps.
    let old = VirtualHistory.start.advanced(byMilliseconds: 3 * RetentionPolicy.day)
    let options = Restorer.Options(
      data: FilePath(data), question: .at(old), plan: RestorePlan.Options())
    let now = history.now
    let restore = Task {
      try await Restorer(
        options: options, store: store, now: { now }, note: { _ in }, progress: { _, _ in }
      ).run()
    }
    try await eventually(
      deadline: 600, "the restore reads the log",
      condition: { store.calls.contains { $0.operation == .read && $0.name.contains("/log/") } },
      state: { "\(store.calls.count) calls" })
    _ = try await history.pruner(PrunerTests.policy, on: history.store).run()
    gate.open()
    do {
      _ = try await restore.value
      Issue.record("the objects of the point are gone")
    } catch let error as LifeboatError {
      #expect(error.code == .noBackup, "\(error)")
      #expect(TestFiles.list(data).filter { !$0.hasPrefix(".") }.isEmpty)
    }
    // What is kept can be restored at the same time.
    try await check(history.store, history, "beside a restore")
  }
}

/// A store whose first few listings lack an existing object.
private final class HidingStore: StoreLayer {
  let base: any ObjectStore
  private let name: String
  private let left: Mutex<Int>

  init(_ base: MemoryStore, _ name: String, lists: Int) {
    self.base = base
    self.name = name
    left = Mutex(lists)
  }

  func list(prefix: String, continuing: String?) async throws -> ListPage {
    var page = try await base.list(prefix: prefix, continuing: continuing)
    guard let index = page.entries.firstIndex(where: { $0.name == name }) else { return page }
    let isHidden = left.withLock { left in
      left -= 1
      return left >= 0
    }
    if isHidden { page.entries.remove(at: index) }
    return page
  }
}
