import BackupFormat
package import BackupTypes
package import ObjectStorage
import SystemIO

/// Tests what backups need from a repository's store, with its own objects under `ops/probes/`, which it
/// deletes. Readers ignore these objects, so one that is left, because the probe was interrupted or may not
/// delete, does no harm. The next probe removes it.
package struct CapabilityProbe: Sendable {
  /// A probe takes much less time than this. Older objects were left behind.
  private static let leftoverAge: Int64 = 3_600_000
  /// The largest object that it writes: each contains one line of text.
  private static let sizeMax = 4096

  private let store: any ObjectStore
  private let id: String
  private let now: @Sendable () -> Instant

  /// - Parameters:
  ///   - store: a prepared store, with its retries.
  ///   - now: this machine's clock.
  package init(_ store: any ObjectStore, now: @escaping @Sendable () -> Instant) {
    self.store = store
    self.now = now
    id = hexadecimal(secureRandomBytes(16))
  }

  private enum Writing: String {
    case first, second
    func bytes(_ id: String) -> [UInt8] { Array("lifeboat probe \(id) \(rawValue)\n".utf8) }
  }

  private var prefix: String { ObjectPath.operations(.probes) + id + "-" }
  private func name(_ number: Int) -> String {
    ObjectPath.operation(.probes, id: "\(id)-\(number)").text
  }
  private var numbers: Range<Int> { 1..<(ProbeObservations.objects + 1) }
  private var raced: String { name(ProbeObservations.objects + 1) }

  /// - Throws: only when cancelled.
  package func run() async throws -> CapabilityReport {
    let created = try await seen {
      for number in numbers { try await create(number) }
    }
    let createdAgain = try await seen {
      try await store.create(name(1), Writing.second.bytes(id))
    }
    let content = try await seen { try await self.content() }
    let winners = try await seen { created.failed ? 0 : try await race() }
    var leftovers: [String] = []
    let listed = try await seen {
      let entries = try await list()
      leftovers = self.leftovers(entries)
      let wanted = Set(numbers.map(name))
      return entries.count { wanted.contains($0.name) }
    }
    let clockOffset = try await seen { try await self.clockOffset() }
    let deleted = try await seen { try await delete(leftovers) }
    let listedAfterwards = try await seen {
      try await list().count { $0.name.hasPrefix(prefix) }
    }
    return CapabilityReport(
      ProbeObservations(
        created: created, createdAgain: createdAgain, content: content, winners: winners,
        listed: listed, deleted: deleted, listedAfterwards: listedAfterwards,
        clockOffset: clockOffset, createsConditionally: store.createsConditionally))
  }

  // MARK: Steps

  /// A retry after a lost reply finds its own object, which counts as success.
  private func create(_ number: Int) async throws {
    guard try await store.create(name(number), Writing.first.bytes(id)) == .exists,
      try await store.read(name(number), limit: CapabilityProbe.sizeMax) != Writing.first.bytes(id)
    else { return }
    throw LifeboatError(
      .storeUnavailable, "\(store.location)/\(name(number)) exists, but was never written",
      hint: "look for a proxy or cache that answers instead of the store")
  }

  private func content() async throws -> ProbeObservations.Content {
    switch try await store.read(name(1), limit: CapabilityProbe.sizeMax) {
    case nil: .absent
    case Writing.first.bytes(id)?: .first
    case Writing.second.bytes(id)?: .replaced
    default: .foreign
    }
  }

  private func race() async throws -> Int {
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for racer in 0..<ProbeObservations.racers {
        group.addTask { [store, raced, id] in
          try await store.create(raced, Array("lifeboat probe \(id) racer \(racer)\n".utf8))
            == .created
        }
      }
      return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
  }

  private func list() async throws -> [ObjectEntry] {
    var entries: [ObjectEntry] = []
    try await store.eachPage(prefix: ObjectPath.operations(.probes)) { page in
      entries += page.entries
      return true
    }
    return entries
  }

  /// Objects of earlier probes, by the store's clock.
  private func leftovers(_ entries: [ObjectEntry]) -> [String] {
    guard let latest = entries.filter({ $0.name.hasPrefix(prefix) }).map(\.modified).max() else {
      return []
    }
    return entries.filter {
      latest.since($0.modified) > CapabilityProbe.leftoverAge && !$0.name.hasPrefix(prefix)
    }.map(\.name)
  }

  private func delete(_ leftovers: [String]) async throws {
    let failures = try await store.delete(numbers.map(name) + [raced] + leftovers)
    if let failure = failures.min(by: { $0.key < $1.key }) { throw failure.value }
  }

  private func clockOffset() async throws -> Int64? {
    let before = now()
    guard let theirs = try await store.now() else { return nil }
    // The store gave its time at some moment between the two readings of this machine's clock.
    return theirs.since(before.advanced(byMilliseconds: now().since(before) / 2))
  }

  private func seen<Value>(
    _ step: () async throws -> Value
  ) async throws -> Result<Value, LifeboatError> {
    do {
      return .success(try await step())
    } catch let error as LifeboatError {
      return .failure(error)
    } catch let error as CancellationError {
      throw error
    } catch {
      return .failure(LifeboatError(wording: error))
    }
  }
}

extension Result {
  fileprivate var failed: Bool {
    if case .failure = self { true } else { false }
  }
}
