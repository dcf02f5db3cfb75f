import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import SystemPackage
import TestSupport
import Testing

/// How a copy handles pins, quarantines, folds, claims that cut something off, and a directory to be made.
@Suite struct CopierCasesTests {
  @discardableResult
  private func copy(
    _ from: any ObjectStore, _ to: any ObjectStore, options: Copier.Options = .init(),
    now: Instant = at(10_000)
  ) async throws -> CopyReport {
    try await Copier(from: from, keys: .none, to: to, options: options, now: { now }).run()
  }

  private func opened(_ store: any ObjectStore) async throws -> Repository {
    try #require(try await Repository.open(store))
  }

  /// A second timeline that began as suspect. Its pin is in force.
  private func suspect(_ made: MadeRepository) async throws -> String {
    let pin = "s0000000006000-1-1"
    try await made.addClaim(1, at: 0)
    try await made.addLogSnapshot(1, 1)
    try await made.addLog(1, 0, 4, at: 100)
    try await made.addPin(pin, 1, 1, until: 1_000_000)
    try await made.addClaim(
      2, at: 6000, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: 4)],
      suspicion: .init(reason: .empty, detail: "no keys", pin: pin))
    try await made.addLogSnapshot(2, 1)
    try await made.addLog(2, 0, 4, at: 7000)
    return pin
  }

  @Test func `a copy asks about a suspect start, until the question is answered`() async throws {
    let made = try await MadeRepository()
    let pin = try await suspect(made)
    let store = MemoryStore()
    let faulty = FaultyStore(store)
    #expect(try await copy(made.store, faulty).isComplete)
    let created = faulty.calls.filter { $0.operation == .create }.map(\.name)
    let pinAt = try #require(created.firstIndex(of: ObjectPath.operation(.pins, id: pin).text))
    let claimAt = try #require(
      created.firstIndex(of: ObjectPath.claim(TimelineNumber(2)!).text))
    #expect(pinAt < claimAt)
    let asked = await code {
      _ = try await HistoryReader(
        repository: opened(store), history: opened(store).history()
      ).point(.newest(), now: at(10_000))
    }
    #expect(asked == .suspect)
    try await made.repository.release(pin, by: "test", at: at(9000))
    #expect(try await copy(made.store, store).isComplete)
    #expect(store.contents[ObjectPath.operation(.releases, id: pin).text] != nil)
    // A pin that can't be read is in force, and so is its copy.
    made.store.lose(ObjectPath.operation(.releases, id: pin).text)
    made.store.overwrite(ObjectPath.operation(.pins, id: pin).text, [1, 2, 3])
    let other = MemoryStore()
    let report = try await copy(made.store, other)
    #expect(report.exitCode == .corrupt, "\(report.text)")
    #expect(other.contents[ObjectPath.operation(.pins, id: pin).text] == [1, 2, 3])
  }

  @Test func `a generation that the source has quarantined is not copied, and counts as absent`()
    async throws
  {
    let made = try await SmallRepository(value: 10)
    let before = MemoryStore()
    try await copy(made.store, before)
    let id = made.dump
    let quarantine = Quarantine(
      generation: id, repository: made.repository.id, at: at(3), object: "x", reason: "test",
      by: "test")
    let name = ObjectPath.operation(.quarantines, id: id.description)
    _ = try await made.repository.create(quarantine, name, kind: .operation)
    let store = MemoryStore()
    #expect(try await copy(made.store, store).isComplete)
    #expect(store.contents[name.text] != nil)
    #expect(!store.names.contains { $0.hasPrefix(ObjectPath.generation(id)) })
    // A copy with the whole generation keeps it.
    #expect(try await copy(made.store, before).isComplete)
    #expect(before.contents[name.text] == nil)
    #expect(before.names.contains { $0.hasPrefix(ObjectPath.generation(id)) })
  }

  @Test func `what a fold replaced in the copy does not come back`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addLogSnapshot(1, 1)
    for from in [UInt64(0), 4, 8] {
      try await made.addLog(1, from, from + 4, at: Int64(from) + 100)
    }
    let store = MemoryStore()
    try await copy(made.store, store)
    try await made.addLog(1, 0, 12, at: 108)
    try await copy(made.store, store)
    let logs = { store.names.filter { $0.contains("/log/") } }
    #expect(logs().count == 4)
    for name in logs() where !name.contains("0000000000000000-0000000000000012-") {
      store.lose(name)
    }
    let report = try await copy(made.store, store)
    #expect(report.isComplete && report.result == .nothing && logs().count == 1, "\(report.text)")
  }

  @Test func `a claim that cuts something off waits until the copy has had that for long enough`()
    async throws
  {
    let clock = VirtualClock(at(0))
    func set(minutes: Int64) { clock.set(at(minutes * 60_000)) }
    let made = try await MadeRepository(clock: { clock.now })
    try await made.addClaim(1, at: 0)
    try await made.addLogSnapshot(1, 1)
    try await made.addLog(1, 0, 4, at: 100)
    set(minutes: 120)
    try await made.addClaim(2, at: 120 * 60_000, parentSnapshots: 0)
    try await made.addLogSnapshot(2, 1)
    try await made.addLog(2, 0, 4, at: 121 * 60_000)
    let ends = try await made.repository.history().cutOff
    #expect(ends.count == 1)
    set(minutes: 180)
    let store = MemoryStore(clock: { clock.now })
    let first = try await copy(made.store, store, now: clock.now)
    #expect(first.waitsUntil != nil && !first.isComplete && first.exitCode == .failure)
    #expect(store.contents[ObjectPath.claim(TimelineNumber(2)!).text] == nil)
    set(minutes: 190)
    #expect(try await copy(made.store, store, now: clock.now).waitsUntil != nil)
    set(minutes: 200)
    let last = try await copy(made.store, store, now: clock.now)
    #expect(last.isComplete && last.waitsUntil == nil, "\(last.text)")
    #expect(try await opened(store).history().cutOff == ends)
  }

  @Test func `a dry run to a directory that does not exist says what would be copied`()
    async throws
  {
    let made = try await SmallRepository(value: 10)
    let folder = try TemporaryDirectory("dry-run")
    let directory = DirectoryStore(root: FilePath(folder("copy")))
    #expect(try directory.isToBeMade())
    let report = try await copy(
      made.store, UnmadeStore(base: directory), options: .init(isDryRun: true))
    #expect(report.result == .planned && report.exitCode == .success)
    #expect(report.copy == "file://" + folder("copy"))
    #expect(!TestFiles.exists(folder("copy")))
    let real = try await copy(made.store, directory)
    #expect(real.copiedObjects == report.copiedObjects && real.isComplete, "\(real.text)")
    #expect(try !directory.isToBeMade())
    // Without a directory above it, the real run fails, too.
    let error = #expect(throws: LifeboatError.self) {
      try DirectoryStore(root: FilePath(folder("volume/copy"))).isToBeMade()
    }
    #expect(error?.code == .storeUnavailable && error?.hint?.contains("mounted") == true)
  }
}
