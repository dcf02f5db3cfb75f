import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import TestSupport
import WriterLogic

/// A shipper on a virtual clock. It uses the real plan and real objects in a real store. Only reading files
/// and waiting are simulated.
struct VirtualShipper {
  /// The target. It may be replaced by another repository with the same contents.
  var repository: Repository
  let claim: Claim
  private(set) var plan: Writing

  init(_ repository: Repository, _ redis: VirtualRedis, options: Writing.Options = .init())
    async throws
  {
    self.repository = repository
    claim = Claim(
      timeline: .first, nonce: nonce(1), repository: repository.id, source: "s", instance: "i",
      directory: "d", claimedAt: redis.now, writer: "test", parent: nil, fork: nil, end: nil,
      suspicion: nil, place: Claim.Place())
    _ = try await repository.create(claim, .claim(.first), kind: .claim)
    var comparison = Comparison(hasNews: true, hasPoint: false)
    comparison.chain = redis.view.aof.set.map { Chain(fresh: $0) }
    plan = Writing(claim: claim, comparison: comparison, view: redis.view, options: options)
  }

  /// Ships everything that is due according to the interval.
  mutating func turn(_ redis: inout VirtualRedis) async throws {
    plan.observe(redis.view)
    redis.letGo(except: plan.neededPins)
    for (pin, from, to) in plan.unscanned {
      guard let file = redis.files[pin] else { throw HarnessError("\(pin) was let go") }
      file.bytes[Int(from)..<Int(to)].withUnsafeBytes { plan.consume($0, of: pin) }
    }
    while true {
      let actions = plan.actions(now: redis.now)
      if actions.isEmpty { break }
      for action in actions { try await perform(action, redis) }
    }
    let removals = plan.takeRemovals(now: redis.now)
    if !removals.isEmpty { _ = try await repository.store.delete(removals) }
  }

  private mutating func perform(_ action: Writing.Action, _ redis: VirtualRedis) async throws {
    switch action {
    case .putLog(let shipment):
      let bytes = try bytes(shipment.pin, shipment.from, shipment.to, redis)
      let span = try await put(
        bytes, shipment.from, shipment.to, shipment.mark, shipment.marks, shipment.ordinal)
      plan.recordDurable(span: span, now: redis.now)
    case .putFold(let fold):
      let bytes = try bytes(fold.pin, fold.from, fold.to, redis)
      _ = try await put(
        bytes, fold.from, fold.to, fold.parts.last!.mark, fold.marks, fold.ordinal)
      plan.recordDurable(span: nil, now: redis.now)
    case .putSnapshot(let snapshot):
      let name = ObjectPath.snapshot(snapshot.timeline, sequence: snapshot.sequence)
      _ = try await repository.create(snapshot, name, kind: .snapshot)
      plan.recordDurable(span: nil, now: redis.now)
    case .putGuardRecord: plan.recordDurable(span: nil, now: redis.now)
    case .uploadGeneration(let upload):
      guard let file = redis.files[upload.pin] else { throw HarnessError("a BASE was let go") }
      plan.generationDurable(GenerationResult(index: try await write(upload, file)))
    }
  }

  private func bytes(_ pin: PinID, _ from: UInt64, _ to: UInt64, _ redis: VirtualRedis) throws
    -> [UInt8]
  {
    guard let file = redis.files[pin] else { throw HarnessError("\(pin) was let go") }
    return Array(file.bytes[Int(from)..<Int(to)])
  }

  private func put(
    _ bytes: [UInt8], _ from: UInt64, _ to: UInt64, _ mark: Instant?, _ marks: [Mark],
    _ ordinal: Int
  ) async throws -> LogSpan {
    let span = LogSpan(
      from: from, to: to, mark: mark, digest: repository.frame.digest(bytes).short)
    try await repository.createContent(
      LogPayload(nonce: claim.nonce, marks: marks, bytes: bytes).encoded(),
      .log(claim.timeline, ordinal: ordinal, span), kind: .log)
    return span
  }

  private func write(_ upload: GenerationUpload, _ file: VirtualRedis.File) async throws
    -> GenerationIndex
  {
    let digest = repository.frame.digest(file.bytes)
    let id = GenerationID(fingerprint: digest.short, nonce: claim.nonce)
    try await repository.createContent(
      file.bytes, .piece(id, number: 0, digest.short), kind: .piece)
    let index = GenerationIndex(
      generation: id, kind: upload.kind, file: file.name, size: UInt64(file.bytes.count),
      pieces: [digest], contentAt: file.born, verdict: .good, remark: nil,
      dataset: DatasetRecord(
        server: nil, rdbVersion: 11, isValkey: false,
        databases: [
          .init(
            number: 0, keys: 1, expires: 0,
            types: ["string": .init(keys: 1, elements: 0, bytes: 0)])
        ], functions: 0))
    _ = try await repository.create(index, .index(id), kind: .index)
    return index
  }
}
