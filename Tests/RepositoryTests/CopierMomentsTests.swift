import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import Synchronization
import TestSupport
import Testing

/// The moments that a copy gives, each held against its source: while the copy is made, and at its end.
@Suite struct CopierMomentsTests {
  private static let own = EncryptionKey(bytes: Array(1..<33))

  /// The source, a run of `copy`, and a copy that may have keys of its own.
  private struct Scene {
    let history: VirtualHistory
    let store: MemoryStore
    let own: KeySource?
    var keys: KeySource {
      own == nil ? .none : KeySource(file: nil, value: CopierMomentsTests.own.reveal())
    }

    init(days: Int, isSealedAgain: Bool) async throws {
      history = try await VirtualHistory(days: days)
      let clock = history.clock
      store = MemoryStore(clock: { clock.now })
      own =
        isSealedAgain
        ? KeySource(file: nil, value: CopierMomentsTests.own.reveal(), isCopys: true) : nil
    }

    /// A run that is stopped after this many objects. Nil if it was.
    func copy(atMost allowed: Int = .max) async throws -> CopyReport? {
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
        return try await Copier(
          from: history.store, keys: .none, to: faulty, own: own,
          now: { [clock = history.clock] in clock.now }
        ).run()
      } catch let error as LifeboatError where error.code == .storeUnavailable {
        return nil
      }
    }
  }

  /// Whatever it is asked for, a copy that was stopped gives a state that the source had at that time.
  @Test(arguments: [false, true])
  func `a copy that is stopped at any object gives no state that its source did not have`(
    isSealedAgain: Bool
  ) async throws {
    let scene = try await Scene(days: 1, isSealedAgain: isSealedAgain)
    let moments = try await Moments(scene.history.store, hours: 2, now: scene.history.now)
    var (stops, given) = (0, 0)
    while try await scene.copy(atMost: 1)?.isComplete != true {
      stops += 1
      try #require(stops < 3000)
      guard scene.store.contents["lifeboat.json"] != nil else { continue }
      given = try await moments.checkPart(scene.store, keys: scene.keys, now: scene.history.now)
    }
    #expect(stops > 30 && given > 10)
    try await moments.check(scene.store, keys: scene.keys, now: scene.history.now)
    // What `list` shows is the same, too.
    func listed(_ store: MemoryStore, _ keys: KeySource) async throws -> [String] {
      let listing = try await RepositoryListing.make(store, keys: keys, now: scene.history.now)
      return listing.timelines.flatMap(\.points).map { "\($0)" }
    }
    #expect(try await listed(scene.store, scene.keys) == listed(scene.history.store, .none))
  }
}

/// What a repository gives at some instants.
struct Moments {
  private let known: [(at: Instant, count: Int)]

  /// Every so many hours from its beginning until `now`.
  init(_ store: any ObjectStore, hours: Int64, now: Instant) async throws {
    var known: [(at: Instant, count: Int)] = []
    let step = hours * 3_600_000
    var time = VirtualHistory.start.advanced(byMilliseconds: step)
    while time <= now {
      known.append((time, try await VirtualHistory.restored(store, at: time, now: now).count))
      time = time.advanced(byMilliseconds: step)
    }
    self.known = known
  }

  /// The repository gives the same from `begin` on.
  func check(
    _ store: any ObjectStore, keys: KeySource = .none, from begin: Instant = VirtualHistory.start,
    now: Instant
  ) async throws {
    let wanted = known.filter { $0.at >= begin }
    #expect(wanted.count > 5)
    for (time, count) in wanted {
      let found = try await VirtualHistory.restored(store, keys: keys, at: time, now: now)
      #expect(found.count == count, "\(time)")
    }
  }

  /// The repository gives the same, or nothing, or what was known at an earlier time that it names.
  /// - Returns: how many of the instants it gives.
  func checkPart(_ store: any ObjectStore, keys: KeySource, now: Instant) async throws -> Int {
    var given = 0
    for (index, (time, count)) in known.enumerated() {
      let found: (count: Int, instant: Instant)
      do {
        found = try await VirtualHistory.restored(store, keys: keys, at: time, now: now)
      } catch is LifeboatError {
        continue
      } catch is HarnessError {
        continue
      }
      given += 1
      #expect(found.instant <= time && found.count <= count)
      // The state before it that is known here is not newer than this one.
      let earlier = known[..<index].last { $0.at <= found.instant }
      #expect(found.count >= earlier?.count ?? 0, "\(time): \(found)")
    }
    return given
  }
}
