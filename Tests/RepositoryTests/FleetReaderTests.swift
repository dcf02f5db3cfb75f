import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import Synchronization
import TestSupport
import Testing

/// Many different repositories below one prefix: nested, damaged, encrypted, denied, empty, suspect.
@Suite struct FleetReaderTests {
  private static let right = EncryptionKey(bytes: Array(0..<32))
  private static let other = EncryptionKey(bytes: Array(1..<33))

  private func fleet(
    _ store: any ObjectStore, key: EncryptionKey? = nil, ageMax: Int64? = nil
  ) async throws -> Fleet {
    try await FleetReader(
      store, keys: KeySource(file: nil, value: key?.reveal()), options: .init(ageMax: ageMax),
      now: { at(10_000) }
    ).run()
  }

  private func put(_ contents: [String: [UInt8]], below path: String, of store: MemoryStore) {
    for (name, bytes) in contents { store.overwrite(path + "/" + name, bytes) }
  }

  private func states(_ fleet: Fleet) -> [String: FleetRow.State] {
    Dictionary(uniqueKeysWithValues: fleet.rows.map { ($0.name, $0.state) })
  }

  private func encrypted(_ key: EncryptionKey) async throws -> [String: [UInt8]] {
    let made = try await MadeRepository(keys: KeySource(file: nil, value: key.reveal()))
    try await made.addClaim(1, at: 0)
    try await made.addLogSnapshot(1, 1)
    try await made.addLog(1, 0, 4, at: 100)
    return made.store.contents
  }

  @Test func `each repository is named for what is wrong with it`() async throws {
    let small = try await SmallRepository(value: 10)
    let store = MemoryStore()
    put(small.store.contents, below: "team/fine", of: store)
    var damaged = small.store.contents
    damaged[ObjectPath.snapshot(.first, sequence: 2).text] = [1, 2, 3]
    put(damaged, below: "team/damaged", of: store)
    var without = small.store.contents
    without["lifeboat.json"] = nil
    put(without, below: "team/deeper/without", of: store)
    var newer = small.store.contents
    newer["lifeboat.json"] = Array("{\"_lifeboat\":2}".utf8)
    put(newer, below: "newer", of: store)
    put(["lifeboat.json": small.store.contents["lifeboat.json"]!], below: "empty", of: store)
    put(try await encrypted(Self.right), below: "locked/mine", of: store)
    put(try await encrypted(Self.other), below: "locked/theirs", of: store)
    put(small.store.contents, below: "denied", of: store)
    put(small.store.contents, below: "hidden/below", of: store)
    store.overwrite("notes/readme.txt", [1])
    let denied = FaultyStore(store) { call in
      if call.operation == .read, call.name.hasPrefix("denied/") {
        return .fail(LifeboatError(.storeUnavailable, "no", isRetryable: false).denied())
      }
      if call.operation == .list, call.name == "hidden/" {
        return .fail(LifeboatError(.storeUnavailable, "no", isRetryable: false).denied())
      }
      return .pass
    }
    let found = try await fleet(denied, key: Self.right)
    #expect(
      states(found) == [
        "team/fine": .fine, "team/damaged": .damaged, "team/deeper/without": .damaged,
        "newer": .newer, "empty": .empty, "locked/mine": .fine, "locked/theirs": .locked,
        "denied": .denied, "hidden": .denied,
      ], "\(found.text)")
    #expect(found.exitCode == .corrupt)
    #expect(found.rows.map(\.state.rawValue).prefix(2) == ["damaged", "damaged"])
    #expect(found.rows.last?.state == .fine)
    let fine = try #require(found.rows.first { $0.name == "team/fine" })
    #expect(
      fine.source == "s" && fine.newest == "2.2@1:108" && fine.ageSeconds == 8
        && fine.objects == small.store.count && fine.lastDrill?.isPassed == true, "\(fine)")
    #expect(fine.location == "memory://test/team/fine")
    // Read without a key.
    #expect(states(try await fleet(store))["locked/mine"] == .locked)
    #expect(states(try await fleet(store, ageMax: 1000))["team/fine"] == .old)
  }

  /// As `report` and `list` show it, and not only a snapshot: a drill, a removal, a pin, an index.
  @Test func `a failed drill, removed data, and damage in a pin or an index make a row each`()
    async throws
  {
    let store = MemoryStore()
    let drilled = try await SmallRepository(value: 10)
    let drill = Drill(
      id: "d2", repository: drilled.repository.id, at: at(9000), point: "1.2", instant: at(1),
      isPassed: false, restoreMilliseconds: 1, loadMilliseconds: 2, bytes: 3,
      server: "redis 7.4.1", keys: 1, elements: 1, values: 1,
      differences: ["the key a is missing"])
    _ = try await drilled.repository.create(
      drill, .operation(.drills, id: drill.id), kind: .operation)
    put(drilled.store.contents, below: "drill", of: store)
    put(try await flushed().store.contents, below: "flushed", of: store)
    let small = try await SmallRepository(value: 10)
    var contents = small.store.contents
    contents[ObjectPath.index(small.base).text] = [1, 2, 3]
    put(contents, below: "index", of: store)
    contents = small.store.contents
    contents[ObjectPath.operation(.pins, id: "q").text] = [1, 2, 3]
    put(contents, below: "pin", of: store)
    put(small.store.contents, below: "whole", of: store)

    let found = try await fleet(store)
    #expect(
      states(found) == [
        "drill": .drillFailed, "flushed": .removed, "index": .damaged, "pin": .damaged,
        "whole": .fine,
      ], "\(found.text)")
    #expect(found.rows.map(\.name).suffix(3) == ["drill", "flushed", "whole"])
    #expect(!found.text.contains("..") && found.text.contains("removed data. `"), "\(found.text)")
    #expect(found.exitCode == .corrupt)
    func problem(_ name: String) throws -> String {
      try #require(found.rows.first { $0.name == name }?.problem)
    }
    #expect(try problem("drill") == "the last drill failed: the key a is missing")
    #expect(try problem("flushed").hasPrefix("FLUSHALL at "))
    for name in ["index", "pin"] { #expect(try problem(name) == "1 record can't be read") }
  }

  /// A FLUSHALL that nobody has accepted.
  private func flushed() async throws -> MadeRepository {
    let made = try await MadeRepository()
    let before = LogPosition(timeline: .first, ordinal: 1, offset: 4)
    try await made.addClaim(1, at: 0)
    try await made.addLogSnapshot(
      1, 1, destructive: .init(command: "FLUSHALL", before: before, at: at(150)))
    for from in [UInt64(0), 4] { try await made.addLog(1, from, from + 4, at: Int64(100 + from)) }
    let pin = Pin(
      id: "f", repository: made.repository.id, origin: .drop, reason: "FLUSHALL", at: at(150),
      until: at(1_000_000), timeline: .first, snapshot: 1, position: before)
    _ = try await made.repository.create(pin, .operation(.pins, id: "f"), kind: .operation)
    return made
  }

  @Test func `the prefix may be a repository itself, or hold none`() async throws {
    let small = try await SmallRepository(value: 10)
    let one = try await fleet(small.store)
    #expect(one.rows.map(\.name) == ["."] && one.exitCode == .success, "\(one.text)")
    let none = try await fleet(MemoryStore())
    #expect(none.rows.isEmpty && none.exitCode == .noBackup)
    let error = await #expect(throws: LifeboatError.self) {
      _ = try await fleet(FaultyStore(small.store) { _ in .fail(FaultyStore.unreachable) })
    }
    #expect(error?.code == .storeUnavailable)
  }

  @Test func `an open question is asked, and a large repository is read alone`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addLogSnapshot(1, 1)
    for number in 0..<5200 {
      try await made.addLog(1, UInt64(number), UInt64(number + 1), at: Int64(number + 1))
    }
    try await made.addPin("s0000000006000-1-1", 1, 1, until: 1_000_000)
    try await made.addClaim(
      2, at: 6000, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: 5200)],
      suspicion: .init(reason: .empty, detail: "no keys", pin: "s0000000006000-1-1"))
    try await made.addLogSnapshot(2, 1)
    try await made.addLog(2, 0, 4, at: 7000)
    let store = MemoryStore()
    put(made.store.contents, below: "large", of: store)
    put(try await SmallRepository(value: 10).store.contents, below: "small", of: store)
    let found = try await fleet(store)
    #expect(states(found) == ["large": .suspect, "small": .fine], "\(found.text)")
    #expect(found.exitCode == .suspect)
  }

  /// Each repository that is being read has a listing and some records in memory.
  @Test(arguments: [(64, 7), (256, 16)])
  func `no more repositories are read at a time than the memory allows`(
    mebibytes: Int, width: Int
  ) async throws {
    let store = MemoryStore()
    let small = try await SmallRepository(value: 10)
    for number in 0..<40 { put(small.store.contents, below: "r\(number)", of: store) }
    let counting = CountingStore(base: store)
    let found = try await MemoryBound.$current.withValue(MemoryBound(bytes: mebibytes << 20)) {
      try await fleet(counting)
    }
    #expect(found.repositories == 40 && found.exitCode == .success, "\(found.text)")
    #expect((2...width).contains(counting.most), "\(counting.most) at a time")
  }

  /// For every pair of states, one row each, the more urgent row comes first.
  @Test func `rows are sorted by their urgency`() {
    func row(_ error: LifeboatError, _ name: String) -> FleetRow {
      FleetRow(name: name, location: name, .failed(error, cipher: nil), ageMax: nil, now: at(0))
    }
    let rows = [
      row(LifeboatError(.noBackup, "none"), "e"), row(LifeboatError(.corrupt, "broken"), "a"),
      row(LifeboatError(.storeUnavailable, "away"), "c"),
      row(LifeboatError(.storeUnavailable, "no").denied(), "b"),
      row(LifeboatError(.wrongKey, "locked"), "d"),
    ]
    for turn in 0..<rows.count {
      let turned = Array(rows[turn...] + rows[..<turn])
      let fleet = Fleet(location: "x", at: at(0), rows: turned, leftOut: 0)
      #expect(fleet.rows.map(\.name) == ["a", "b", "c", "d", "e"])
      #expect(fleet.exitCode == .corrupt)
    }
  }
}

/// Counts the repositories whose descriptors are being read at the same time.
private struct CountingStore: StoreLayer {
  let base: any ObjectStore
  private let reading = Count()

  private final class Count: Sendable {
    let value = Mutex((now: 0, most: 0))
  }

  init(base: any ObjectStore) { self.base = base }

  var most: Int { reading.value.withLock { $0.most } }

  func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    guard name.hasSuffix("/lifeboat.json") else { return try await base.read(name, limit: limit) }
    reading.value.withLock {
      $0.now += 1
      $0.most = max($0.most, $0.now)
    }
    defer { reading.value.withLock { $0.now -= 1 } }
    // Others get the chance to begin meanwhile.
    for _ in 0..<100 { await Task.yield() }
    return try await base.read(name, limit: limit)
  }
}
