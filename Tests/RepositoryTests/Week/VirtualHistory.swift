import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import Synchronization
import SystemPackage
import TestSupport
import WriterLogic

/// A repository of some weeks in memory, made by the real plan on a virtual clock, with a command every ten
/// minutes and a rewrite every six hours.
struct VirtualHistory {
  static let start = Instant(milliseconds: 1_700_006_400_000)
  static let step: Int64 = 600

  let clock = VirtualClock(start)
  let store: MemoryStore
  private(set) var redis = VirtualRedis(at: start)
  let repository: Repository
  private var shipper: VirtualShipper

  /// - Parameter rewrites: the number of days with rewrites. After that, the AOF only grows.
  init(days: Int, rewrites: Int = .max, options: Writing.Options = .init()) async throws {
    let clock = clock
    store = MemoryStore(clock: { clock.now })
    repository = try await Repository.openOrCreate(
      store, keys: .none, compression: .none, now: VirtualHistory.start)
    shipper = try await VirtualShipper(repository, redis, options: options)
    for tick in 1...days * 144 {
      redis.tick(seconds: VirtualHistory.step)
      let isRewriting = tick / 144 < rewrites
      if isRewriting, tick % 36 == 17 { redis.beginRewrite() }
      if isRewriting, tick % 36 == 18 { redis.finishRewrite() }
      clock.set(redis.now)
      try await shipper.turn(&redis)
    }
  }

  var now: Instant { clock.now }

  func pruner(
    _ policy: RetentionPolicy, on store: any ObjectStore, isConfirmed: Bool = true,
    isDryRun: Bool = false
  ) async throws -> Pruner {
    guard let repository = try await Repository.open(store) else {
      throw HarnessError("there is no repository")
    }
    return Pruner(
      repository,
      options: .init(policy: policy, by: "test", isDryRun: isDryRun, isConfirmed: isConfirmed),
      now: { [clock] in clock.now })
  }

  /// The result of a restore of `store` to `instant`, read by hand; nil for the newest state.
  static func restored(
    _ store: any ObjectStore, keys: KeySource = .none, at instant: Instant?, now: Instant
  ) async throws -> (count: Int, instant: Instant) {
    guard let repository = try await Repository.open(store, keys: keys) else {
      throw HarnessError("there is no repository")
    }
    let history = try await repository.history()
    let reader = HistoryReader(repository: repository, history: history)
    guard let point = try await reader.point(instant.map { .at($0) } ?? .newest(), now: now) else {
      throw HarnessError("there is no restore point")
    }
    let plan = try RestorePlanner(
      history: history, point: point, indexes: try await reader.indexes(of: point.snapshot),
      options: .init()
    ).plan()
    var dump: [UInt8] = []
    var logs: [[UInt8]] = []
    for file in plan.files {
      switch (file.role, file.content) {
      case (.base, .generation(let index)):
        dump = try await content(
          .piece(index.generation, number: 0, index.pieces[0].short), .piece, repository)
      case (.increment, .log(let parts)):
        var bytes: [UInt8] = []
        for part in parts {
          let payload = try LogPayload(
            decoding: try await content(part.name, .log, repository), span: part.span)
          bytes += payload.bytes[Int(part.from - part.span.from)..<Int(part.to - part.span.from)]
        }
        logs.append(bytes)
      default: break
      }
    }
    guard let count = VirtualRedis.count(dump: dump, logs: logs) else {
      throw HarnessError("\(point.id) is no state that the server had")
    }
    return (count, point.instant)
  }

  private static func content(_ name: ObjectPath, _ kind: ObjectKind, _ repository: Repository)
    async throws -> [UInt8]
  {
    guard let bytes = try await repository.content(name, kind: kind, limit: LogPayload.sizeMax)
    else { throw HarnessError("\(name.text) is gone") }
    return bytes
  }
}

final class VirtualClock: Sendable {
  private let time: Mutex<Instant>
  init(_ time: Instant) { self.time = Mutex(time) }
  var now: Instant { time.withLock { $0 } }
  func set(_ now: Instant) { time.withLock { $0 = now } }
}
