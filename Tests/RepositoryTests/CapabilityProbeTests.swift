import BackupTypes
import Codec
import ObjectStorage
import RepositoryAccess
import Synchronization
import TestSupport
import Testing

/// Everything that backups need and a store may lack is found, and reported with its consequence.
@Suite struct CapabilityProbeTests {
  private let clock: @Sendable () -> Instant = { Instant(seconds: 1_795_356_127) }

  private func report(_ store: any ObjectStore) async throws -> CapabilityReport {
    try await CapabilityProbe(store, now: clock).run()
  }

  /// The only finding that is not ok.
  private func finding(
    _ store: any ObjectStore, _ check: CapabilityReport.Check, others: CapabilityReport.Check...
  ) async throws -> CapabilityReport.Finding {
    let report = try await report(store)
    for finding in report.findings where finding.check != check && !others.contains(finding.check) {
      #expect(finding.verdict <= .ok, "\(finding)")
    }
    let finding = try #require(report[check])
    #expect(finding.verdict != .ok && finding.consequence != nil, "\(finding)")
    return finding
  }

  @Test func `a store that can do it all is told so, and nothing is left in it`() async throws {
    let store = MemoryStore(clock: clock)
    let report = try await report(store)
    #expect(report.verdict == .ok, "\(report)")
    #expect(report.findings.map(\.check) == CapabilityReport.Check.allCases)
    #expect(store.names.isEmpty)
  }

  @Test func `a directory can do it all, and has no clock of its own`() async throws {
    let store = MemoryStore()
    let report = try await report(store)
    #expect(
      report.verdict == .ok && report[.clock]?.detail.contains("this machine's clock") == true)
    #expect(report[.clock]?.verdict == .note, "nothing was compared")
  }

  @Test func `create-if-absent that overwrites is found`() async throws {
    let base = MemoryStore()
    let found = try await finding(FlawedStore(base, .overwrites), .createIfAbsent)
    #expect(found.verdict == .warning && found.detail.contains("overwrites"), "\(found)")
    #expect(base.names.isEmpty)
  }

  @Test func `create-if-absent that refuses and overwrites is found`() async throws {
    let found = try await finding(
      FlawedStore(MemoryStore(), .overwritesSilently), .createIfAbsent)
    #expect(found.detail.contains("reports that the object exists"), "\(found)")
  }

  @Test func `create-if-absent that only holds one after another is found`() async throws {
    let found = try await finding(FlawedStore(MemoryStore(), .losesRaces), .createIfAbsent)
    #expect(found.detail.contains("4 succeeded"), "\(found)")
  }

  @Test func `a store that says that it can't refuse is believed`() async throws {
    let found = try await finding(FlawedStore(MemoryStore(), .hasNoCondition), .createIfAbsent)
    #expect(found.detail.contains("checks before it writes"), "\(found)")
  }

  @Test func `a listing that lags is found`() async throws {
    let found = try await finding(FlawedStore(MemoryStore(), .listsLate), .list)
    #expect(found.verdict == .failed && found.remedy != nil, "\(found)")
  }

  @Test func `a read that lags or gives other bytes is found`() async throws {
    let late = try await finding(FlawedStore(MemoryStore(), .readsLate), .read)
    #expect(late.verdict == .failed && late.detail.contains("can't be read"), "\(late)")
    let foreign = try await finding(FlawedStore(MemoryStore(), .readsOther), .read)
    #expect(foreign.detail.contains("different content"), "\(foreign)")
  }

  @Test func `a deletion that deletes nothing is found`() async throws {
    let found = try await finding(FlawedStore(MemoryStore(), .keeps), .delete)
    #expect(found.verdict == .warning && found.remedy?.contains("lock") == true, "\(found)")
  }

  @Test(arguments: [(90, "behind"), (-90, "ahead of")])
  func `a clock that is more than a minute off is found`(seconds: Int64, word: String) async throws
  {
    let store = MemoryStore(clock: { Instant(seconds: 1_795_356_127 + seconds) })
    let found = try await finding(store, .clock)
    #expect(found.detail.contains("1 min 30 s \(word) the store's"), "\(found)")
    #expect(found.remedy != nil)
  }

  @Test func `a minute is not off`() async throws {
    let store = MemoryStore(clock: { Instant(seconds: 1_795_356_127 + 60) })
    #expect(try await report(store).verdict == .ok)
  }

  @Test(arguments: CapabilityReport.Check.allCases.filter { $0 != .createIfAbsent })
  func `what is denied is said with its right, and the rest is tried`(
    check: CapabilityReport.Check
  ) async throws {
    // The listing also shows whether deletions work. Without writing, nothing else can be judged.
    let report = try await report(FlawedStore(MemoryStore(clock: clock), .denies(check)))
    let denied = try #require(report[check])
    #expect(denied.verdict != .ok && denied.detail.contains("denied"), "\(denied)")
    let remedy = try #require(denied.remedy)
    #expect(remedy.hasSuffix("allow it"), "\(denied)")
    // With append-only credentials, the remedy does not say to change them.
    #expect(remedy.hasPrefix("none, if") == (check == .delete), "\(denied)")
    let others = report.findings.filter { $0.verdict > .ok && $0.check != check }.map(\.check)
    #expect(others == (check == .write ? [.createIfAbsent] : []), "\(report)")
    // A check that could not run is not reported as good.
    let unproved = report.findings.filter { $0.verdict == .note }.map(\.check)
    #expect(unproved == (check == .write ? [.read, .list, .delete] : []), "\(report)")
  }

  @Test func `what an earlier probe left goes, what runs now and what is not a probe's stays`()
    async throws
  {
    let time = Mutex(Instant(seconds: 1_795_356_127))
    let store = MemoryStore(clock: { time.withLock { $0 } })
    _ = try await store.create("ops/probes/old-1", [1])
    _ = try await store.create("ops/pins/p", [1])
    time.withLock { $0 = $0.advanced(byMilliseconds: 7_200_000) }
    _ = try await store.create("ops/probes/other-1", [1])
    _ = try await report(store)
    #expect(store.names == ["ops/pins/p", "ops/probes/other-1"])
  }

  @Test func `a listing that hides the repository proves nothing`() async throws {
    let base = MemoryStore()
    _ = try await Repository.openOrCreate(base, keys: .none, compression: .none, now: clock())
    let repository = try #require(try await Repository.open(FlawedStore(base, .listsNothing)))
    let error = await #expect(throws: LifeboatError.self) { _ = try await repository.history() }
    #expect(error?.code == .storeUnavailable && error?.hint != nil)
  }

  @Test func `a probe that was left is no repository and no damage to one`() async throws {
    let store = MemoryStore()
    _ = try await store.create("ops/probes/left-1", [1])
    #expect(try await Repository.open(store) == nil)
    _ = try await store.create("ops/pins/p", [1])
    await #expect(throws: LifeboatError.self) { _ = try await Repository.open(store) }
  }
}

/// A store with one flaw.
private final class FlawedStore: ObjectStore {
  enum Flaw: Sendable, Equatable {
    case overwrites, overwritesSilently, losesRaces, hasNoCondition
    case listsLate, listsNothing, readsLate, readsOther, keeps
    case denies(CapabilityReport.Check)
  }

  private let base: MemoryStore
  private let flaw: Flaw
  var location: String { base.location }

  init(_ base: MemoryStore, _ flaw: Flaw) {
    self.base = base
    self.flaw = flaw
  }

  var createsConditionally: Bool { flaw != .hasNoCondition }

  private func check(_ operation: CapabilityReport.Check) throws {
    guard flaw == .denies(operation) else { return }
    throw LifeboatError(
      .storeUnavailable, "can't \(operation.rawValue)", cause: "denied", hint: "allow it")
  }

  func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    try check(.write)
    let outcome = try await base.create(name, bytes)
    guard outcome == .exists else { return outcome }
    switch flaw {
    case .overwrites:
      base.overwrite(name, bytes)
      return .created
    case .overwritesSilently:
      base.overwrite(name, bytes)
      return .exists
    case .losesRaces where String(decoding: bytes, as: UTF8.self).contains("racer"):
      return .created
    default: return outcome
    }
  }

  func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    try check(.read)
    switch flaw {
    case .readsLate: return nil
    case .readsOther: return try await base.read(name, limit: limit).map { _ in [1, 2, 3] }
    default: return try await base.read(name, limit: limit)
    }
  }

  func list(prefix: String, continuing: String?) async throws -> ListPage {
    try check(.list)
    var page = try await base.list(prefix: prefix, continuing: continuing)
    if flaw == .listsNothing { page.entries = [] }
    if flaw == .listsLate { page.entries = Array(page.entries.dropFirst()) }
    return page
  }

  func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    try check(.delete)
    return flaw == .keeps ? [:] : try await base.delete(names)
  }

  func now() async throws -> Instant? {
    try check(.clock)
    return try await base.now()
  }

  func prepare() async throws { try await base.prepare() }
}
