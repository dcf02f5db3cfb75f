import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import ObjectStorage
import Recovery
import RepositoryAccess
import Synchronization
import TestSupport
import Testing
import WriterLogic

/// Copies of repositories that are stopped at any point; with a source that is pruned, folded or written to;
/// with other keys; with damage; and with something else at the target.
@Suite struct CopierTests {
  private static let right = EncryptionKey(bytes: Array(0..<32))
  private static let other = EncryptionKey(bytes: Array(1..<33))
  private static let keys = KeySource(file: nil, value: right.reveal())
  private static let own = KeySource(file: nil, value: other.reveal(), isCopys: true)
  private static let ownAsKeys = KeySource(file: nil, value: other.reveal())

  @discardableResult
  private func copy(
    _ from: any ObjectStore, _ to: any ObjectStore, keys: KeySource = .none, own: KeySource? = nil,
    options: Copier.Options = .init(), now: Instant = at(10_000)
  ) async throws -> CopyReport {
    try await Copier(
      from: from, keys: keys, to: to, own: own, options: options, now: { now }
    ).run()
  }

  /// An empty store with the same clock.
  private func store(like history: VirtualHistory) -> MemoryStore {
    let clock = history.clock
    return MemoryStore(clock: { clock.now })
  }

  private func verified(_ store: any ObjectStore, keys: KeySource = .none) async throws
    -> VerifyReport
  {
    try await Verifier(
      store, options: .init(sample: nil, by: "test", keys: keys), now: { at(5000) }, draw: { 0 },
      progress: { _, _ in }
    ).run()
  }

  private func newest(_ store: any ObjectStore, keys: KeySource = .none) async throws -> String? {
    guard let repository = try await Repository.open(store, keys: keys) else { return nil }
    return try await HistoryReader(
      repository: repository, history: try await repository.history()
    ).newestPoint()?.id
  }

  // MARK: What a copy is

  @Test func `a copy with the same keys has the same bytes`() async throws {
    let made = try await SmallRepository()
    let store = MemoryStore()
    let report = try await copy(made.store, store)
    #expect(report.isComplete && report.exitCode == .success, "\(report)")
    #expect(report.newest == "2.2@1:108", "\(report)")
    for (name, bytes) in store.contents { #expect(made.store.contents[name] == bytes, "\(name)") }
    // A pin that is no longer in force and its release, another place's drill, and a quarantine of a
    // generation that nothing names.
    let left = Set(made.store.names).subtracting(store.names)
    #expect(left.allSatisfy { $0.hasPrefix("ops/") }, "\(left)")
    let sound = try await verified(store)
    #expect(sound.isSound, "\(sound.text)")
    store.resetRequests()
    let again = try await copy(made.store, store)
    #expect(again.result == .nothing && again.isComplete, "\(again)")
    #expect(store.requests(.create) == 0)
  }

  @Test(arguments: [true, false])
  func `a copy with a key of its own is sealed with it`(isEncrypted: Bool) async throws {
    let keys = isEncrypted ? CopierTests.keys : KeySource.none
    let made = try await SmallRepository(keys: keys)
    try await made.repository.record(performed: "r-1", point: "1.1", at: at(5))
    let store = MemoryStore()
    let report = try await copy(made.store, store, keys: keys, own: CopierTests.own)
    #expect(report.hasOwnKey && report.isComplete, "\(report.text)")
    let sound = try await verified(store, keys: CopierTests.ownAsKeys)
    #expect(sound.isSound, "\(sound.text)")
    #expect(
      try await newest(store, keys: CopierTests.ownAsKeys) == newest(made.store, keys: keys))
    await #expect(throws: LifeboatError.self) {
      _ = try await Repository.open(store, keys: CopierTests.keys)
    }
    // Names that depend on the key differ. No object except the descriptor has the same bytes.
    for (name, bytes) in store.contents where name != "lifeboat.json" {
      #expect(made.store.contents[name] != bytes, "\(name)")
    }
    let opened = try #require(try await Repository.open(store, keys: CopierTests.ownAsKeys))
    #expect(try await opened.reading(ofRequest: "r-1").isPerformed)
    let again = try await copy(made.store, store, keys: keys, own: CopierTests.own)
    #expect(again.result == .nothing && again.isComplete, "\(again.text)")
  }

  @Test func `who can open the source can open a copy with the same keys`() async throws {
    let made = try await SmallRepository(value: 10, keys: CopierTests.keys)
    let store = MemoryStore()
    try await copy(made.store, store, keys: CopierTests.keys)
    _ = try await RepositoryKeys.open(made.store, keys: CopierTests.keys).add(CopierTests.other)
    try await copy(made.store, store, keys: CopierTests.keys)
    #expect(try await newest(store, keys: CopierTests.ownAsKeys) != nil)
    // Garbage among the key slots does not stop anything.
    made.store.overwrite("keys/key-" + String(repeating: "0", count: 32), [1, 2, 3])
    let report = try await copy(made.store, store, keys: CopierTests.keys)
    #expect(report.isComplete && report.exitCode == .success, "\(report.text)")
  }

  // MARK: Stopped anywhere

  /// After each object, the copy gives a state that the server had. It is never older than the one before.
  /// Before the first state, the copy is not called empty, whatever is in it.
  @Test func `a copy that is stopped at any object can be restored`() async throws {
    let history = try await VirtualHistory(days: 1)
    for allowed in 0... {
      let store = store(like: history)
      let report = try await stopped(history, store, after: allowed)
      var last = -1
      try await checkPart(store, history, &last)
      guard report?.isComplete == true else { continue }
      #expect(last == history.redis.count && allowed > 30)
      break
    }
  }

  @Test func `a copy that is stopped at every object goes on, and is whole at the end`()
    async throws
  {
    let history = try await VirtualHistory(days: 1)
    let (store, whole) = (store(like: history), MemoryStore())
    var last = -1
    while try await stopped(history, store, after: 1)?.isComplete != true {
      try await checkPart(store, history, &last)
      try #require(store.count < 3000)
    }
    #expect(last == history.redis.count)
    try await copy(history.store, whole, now: history.now)
    #expect(store.contents == whole.contents)
  }

  /// A run in which only this many objects are created. Nil if it failed.
  private func stopped(_ history: VirtualHistory, _ store: MemoryStore, after allowed: Int)
    async throws -> CopyReport?
  {
    let left = Mutex(allowed)
    let faulty = FaultyStore(store) { call in
      guard call.operation == .create else { return .pass }
      let isOver = left.withLock { left in
        left -= 1
        return left < 0
      }
      return isOver ? .fail(FaultyStore.unreachable) : .pass
    }
    do {
      return try await copy(history.store, faulty, now: history.now)
    } catch let error as LifeboatError where error.code == .storeUnavailable {
      return nil
    }
  }

  private func checkPart(_ store: MemoryStore, _ history: VirtualHistory, _ last: inout Int)
    async throws
  {
    guard store.contents["lifeboat.json"] != nil else {
      if store.count > 0 {
        // It is never called empty.
        let error = await #expect(throws: LifeboatError.self) {
          _ = try await Repository.open(store)
        }
        #expect(error?.code == .corrupt)
      }
      return
    }
    guard let repository = try await Repository.open(store) else { return }
    let reader = HistoryReader(
      repository: repository, history: try await repository.history())
    guard try await reader.newestPoint() != nil else {
      #expect(last < 0)
      return
    }
    let found = try await VirtualHistory.restored(store, at: nil, now: history.now)
    #expect(found.count >= last)
    last = found.count
    let report = try await verified(store)
    #expect(report.isSound, "\(report.text)")
  }

  // MARK: A source that changes

  @Test func `a pruned source prunes nothing, and what the copy pruned stays away`() async throws {
    let history = try await VirtualHistory(days: 12)
    let store = store(like: history)
    let now = history.now
    try await copy(history.store, store, now: now)
    let whole = Set(store.names)
    let moments = try await Moments(history.store, hours: 8, now: now)
    let short = RetentionPolicy(keepWithin: RetentionPolicy.day, keepDaily: 0)
    _ = try await history.pruner(short, on: history.store).run()
    #expect(history.store.count < whole.count)
    let report = try await copy(history.store, store, now: now)
    #expect(report.isComplete, "\(report.text)")
    #expect(whole.isSubset(of: store.names))
    try await moments.check(store, now: now)
    await #expect(throws: (any Error).self) { try await moments.check(history.store, now: now) }
    // First the copy's own policy is the longer one, then the shorter one.
    let later = now.advanced(byMilliseconds: 2 * RetentionPolicy.day)
    history.clock.set(later)
    let long = RetentionPolicy(keepWithin: 5 * RetentionPolicy.day, keepDaily: 2)
    _ = try await history.pruner(long, on: store).run()
    let kept = Set(store.names)
    #expect(kept.count < whole.count && kept.count > history.store.count)
    let again = try await copy(history.store, store, now: later)
    #expect(again.result == .nothing && again.isComplete, "\(again.text)")
    #expect(Set(store.names) == kept)
    #expect(try await verified(store).isSound)
    // Five days, of which two passed since the last write.
    let begin = later.advanced(byMilliseconds: -5 * RetentionPolicy.day)
    try await moments.check(store, from: begin, now: later)
  }

  @Test func `what the copy pruned is not copied again from a source that keeps it`() async throws {
    let history = try await VirtualHistory(days: 10)
    let store = store(like: history)
    try await copy(history.store, store, now: history.now)
    history.clock.set(history.now.advanced(byMilliseconds: 2 * RetentionPolicy.day))
    let short = RetentionPolicy(keepWithin: RetentionPolicy.day, keepDaily: 0)
    _ = try await history.pruner(short, on: store).run()
    let kept = Set(store.names)
    #expect(kept.count < history.store.count)
    let report = try await copy(history.store, store, now: history.now)
    #expect(report.isComplete && report.result == .nothing, "\(report.text)")
    #expect(Set(store.names) == kept)
    #expect(try await verified(store).isSound)
    let newest = try await VirtualHistory.restored(store, at: nil, now: history.now)
    #expect(newest.count == history.redis.count)
  }

  @Test func `a copy of a pruned source can be pruned and has no loss`() async throws {
    let history = try await VirtualHistory(days: 10)
    let policy = RetentionPolicy(keepWithin: 2 * RetentionPolicy.day, keepDaily: 3)
    _ = try await history.pruner(policy, on: history.store).run()
    let store = store(like: history)
    let report = try await copy(history.store, store, now: history.now)
    #expect(report.isComplete, "\(report.text)")
    let sound = try await verified(store)
    #expect(sound.isSound, "\(sound.text)")
    history.clock.set(history.now.advanced(byMilliseconds: 2 * RetentionPolicy.day))
    let pruned = try await history.pruner(policy, on: store).run()
    #expect(pruned.result == .pruned, "\(pruned.text)")
    #expect(try await verified(store).isSound)
  }

  @Test func `a source that is pruned while it is copied is listed again`() async throws {
    let history = try await VirtualHistory(days: 8)
    let store = store(like: history)
    let policy = RetentionPolicy(keepWithin: RetentionPolicy.day, keepDaily: 0)
    let pruner = try await history.pruner(policy, on: history.store)
    let isDone = Mutex(false)
    let source = HookedStore(history.store) { name in
      guard name.hasPrefix("timelines/00000001/log/"), !isDone.withLock({ $0 }) else { return }
      isDone.withLock { $0 = true }
      _ = try await pruner.run()
    }
    let report = try await copy(source, store, now: history.now)
    #expect(isDone.withLock { $0 })
    #expect(report.isComplete && report.findings.isEmpty, "\(report.text)")
    #expect(try await verified(store).isSound)
    let newest = try await VirtualHistory.restored(store, at: nil, now: history.now)
    #expect(newest.count == history.redis.count)
  }

  @Test func `two copies at once make one`() async throws {
    let made = try await SmallRepository(value: 10, keys: CopierTests.keys)
    let store = MemoryStore()
    try await withThrowingTaskGroup(of: CopyReport.self) { group in
      for _ in 0..<4 {
        group.addTask {
          try await copy(made.store, store, keys: CopierTests.keys, own: CopierTests.own)
        }
      }
      for try await report in group { #expect(report.isComplete, "\(report.text)") }
    }
    #expect(try await verified(store, keys: CopierTests.ownAsKeys).isSound)
  }

  // MARK: Damage

  @Test func `damage is named, and the rest goes on`() async throws {
    let made = try await SmallRepository()
    let piece = try #require(made.store.names.first { $0.contains("\(made.dump)/0") })
    made.store.overwrite(piece, [1, 2, 3])
    let log = try #require(made.store.names.last { $0.contains("/log/") })
    let store = MemoryStore()
    let report = try await copy(made.store, store)
    #expect(report.exitCode == .corrupt && !report.isComplete)
    #expect(report.findings.filter(\.isFailure).map(\.object) == [piece], "\(report.text)")
    #expect(store.contents[log] != nil && store.contents[piece] == nil)
    #expect(store.contents[ObjectPath.index(made.dump).text] == nil)
    // The dump is beside a chain.
    #expect(try await newest(store) == "2.2@1:108")
    let again = try await copy(made.store, store)
    #expect(again.exitCode == .corrupt)
  }

  @Test func `an object that the copy has lost comes back`() async throws {
    let made = try await SmallRepository()
    let store = MemoryStore()
    try await copy(made.store, store)
    for name in store.names where name != "lifeboat.json" {
      let bytes = store.contents[name]
      store.lose(name)
      let report = try await copy(made.store, store)
      #expect(report.isComplete, "\(name): \(report.text)")
      #expect(store.contents[name] == bytes, "\(name)")
    }
  }

  // MARK: Something else is there

  @Test func `a copy that was shipped to is left alone`() async throws {
    let made = try await SmallRepository()
    let store = MemoryStore()
    try await copy(made.store, store)
    let copied = try #require(try await Repository.open(store))
    let third = TimelineNumber(3)!
    let claim = Claim(
      timeline: third, nonce: nonce(33), repository: copied.id, source: "s", instance: "i",
      directory: "d", claimedAt: at(3000), writer: "test", parent: TimelineNumber(2)!, fork: nil,
      end: .init(snapshots: 2, ordinals: []), suspicion: nil)
    _ = try await copied.create(claim, .claim(third), kind: .claim)
    let before = store.names
    for _ in 0..<2 {
      let error = await #expect(throws: LifeboatError.self) { try await copy(made.store, store) }
      #expect(error?.code == .refused)
      #expect(store.names == before)
    }
    // Also if the source continues under the same number.
    var other = claim
    other.nonce = nonce(44)
    _ = try await made.repository.create(other, .claim(third), kind: .claim)
    let error = await #expect(throws: LifeboatError.self) { try await copy(made.store, store) }
    #expect(error?.code == .refused)
  }

  @Test func `another repository, or other things, are left alone`() async throws {
    let made = try await SmallRepository()
    for other in [try await SmallRepository().store, MemoryStore()] {
      if other.count == 0 { other.overwrite("holiday.jpg", [1]) }
      let before = other.contents
      let error = await #expect(throws: LifeboatError.self) { try await copy(made.store, other) }
      #expect(error?.code == .refused)
      #expect(other.contents == before)
    }
    let error = await #expect(throws: LifeboatError.self) {
      try await copy(MemoryStore(), MemoryStore())
    }
    #expect(error?.code == .noBackup)
  }

  @Test func `nothing is written for a dry run`() async throws {
    let made = try await SmallRepository(value: 10, keys: CopierTests.keys)
    let store = MemoryStore()
    let report = try await copy(
      made.store, store, keys: CopierTests.keys, own: CopierTests.own,
      options: .init(isDryRun: true))
    #expect(report.result == .planned && report.copiedObjects > 0 && store.count == 0)
    let real = try await copy(
      made.store, store, keys: CopierTests.keys, options: .init(readsBack: true))
    #expect(real.isComplete)
  }
}

/// A store in front of another one. It calls a hook before a read.
private struct HookedStore: StoreLayer {
  let base: any ObjectStore
  private let before: @Sendable (String) async throws -> Void

  init(_ base: any ObjectStore, before: @escaping @Sendable (String) async throws -> Void) {
    self.base = base
    self.before = before
  }

  func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    try await before(name)
    return try await base.read(name, limit: limit)
  }
}
