import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import ObjectStorage
import Synchronization
import SystemIO

/// One round of a copy: listings of both sides, the plan, and its performance.
struct CopyWork: Sendable {
  let copier: Copier
  let source: Repository
  let target: CopyTarget
  let history: History
  let pins: Set<String>
  private let damaged: Set<ObjectPath>
  let plan: CopyPlan
  /// The time after which all claims may be copied; nil if none has to wait.
  let heldUntil: Instant?
  let state: CopyState

  init(
    _ copier: Copier, _ source: Repository, _ target: inout CopyTarget, damaged: Set<ObjectPath>,
    report: inout CopyReport
  ) async throws {
    let time = copier.now()
    let read = try await CopySource.read(source, &target, now: time, reading: copier.reading)
    var facts = CopyFacts(
      history: read.history, mentions: read.mentions, letGo: read.letGo, copy: target.catalogue,
      copyLetGo: target.letGo, sharesKeys: target.sharesKeys)
    facts.pins = read.pins
    facts.foreign = read.foreign
    facts.damaged = damaged
    let store = target.repository.store
    heldUntil = facts.hold(
      try await CopyWork.listed(facts.cutOff, store), now: try await store.now() ?? time)
    self.copier = copier
    self.source = source
    self.target = target
    history = read.history
    pins = read.pins
    self.damaged = damaged
    plan = CopyPlan(facts)
    state = CopyState(total: plan.objects, progress: copier.progress)
    report.objects = read.history.catalogue.objects
    for finding in read.findings + target.findings { report.add(finding) }
    for id in plan.missing {
      report.add(
        VerifyFinding(
          .missing, ObjectPath.index(id).text, "snapshots refer to this full copy",
          consequence: "restore points that need it can't be restored from the copy either",
          remedy: CopyReport.remedy))
    }
  }

  /// What the copy has of the timelines that a claim cuts off.
  private static func listed(
    _ timelines: [TimelineNumber], _ store: any ObjectStore
  ) async throws -> [TimelineNumber: CopyFacts.Listed] {
    var found: [TimelineNumber: CopyFacts.Listed] = [:]
    for number in timelines {
      try await store.eachPage(prefix: ObjectPath.timeline(number)) { page in
        for entry in page.entries {
          guard let path = ObjectPath(entry.name) else { continue }
          found[number, default: .init()].add(path, created: entry.modified)
        }
        return true
      }
    }
    return found
  }

  // MARK: Performing

  struct Done: Sendable {
    var objects = 0
    var bytes: UInt64 = 0
    var findings: [VerifyFinding] = []
    var damaged: Set<ObjectPath> = []
  }

  /// Ends early if an object of the source is gone: then both are listed again.
  func perform() async throws -> Done {
    do {
      for slot in try await slots() { try await put(slot) }
      try await copyRequests()
      for step in plan.steps { try await perform(step) }
    } catch is CopyState.Gone {}
    return state.done
  }

  private func perform(_ step: CopyPlan.Step) async throws {
    switch step {
    case .objects(let names): try await copyAll(names)
    case .inOrder(let names): try await copyInOrder(names)
    case .generation(let id): try await copyGeneration(id)
    case .record(let name):
      try await fence()
      try await copyAll([name])
    case .prune(let gone, let dumps): try await putPrune(gone, dumps)
    case .descriptor:
      try await fence()
      let bytes = try RecordCoding.encode(target.repository.descriptor) + [UInt8(ascii: "\n")]
      if try await put(ObjectPath.descriptor.text, bytes) == .exists {
        let found = try await target.repository.store.read(
          ObjectPath.descriptor.text, limit: RecordCoding.descriptorSizeMax)
        guard found == bytes else {
          throw LifeboatError(
            .refused, "another repository was just created at \(target.repository.store.location)",
            hint: "copy to a prefix of its own")
        }
      }
    }
  }

  /// As a writer does before each snapshot: if somebody has claimed the copy meanwhile, the copy is theirs.
  private func fence() async throws {
    let time = SystemClock.monotonicMilliseconds()
    guard state.isFenceDue(time), let highest = history.highestNumber, let next = highest.next
    else { return }
    let store = target.repository.store
    if try await store.has(
      ObjectPath.claim(next).text, limit: ObjectKind.claim.objectBytesMax)
    {
      throw CopyTarget.ownHistory(store, next)
    }
    state.fenced(time)
  }

  private func putPrune(_ gone: [Prune.Gone], _ dumps: [GenerationID]) async throws {
    let time = copier.now()
    let id =
      "\(decimal(max(0, time.milliseconds), width: 13))-\(hexadecimal(secureRandomBytes(4)))"
    let record = Prune(
      id: id, repository: target.repository.id, at: time, by: "lifeboat copy", gone: gone,
      dumps: dumps, logs: [], generations: [], announced: nil)
    let name = ObjectPath.operation(.prunes, id: id)
    _ = try await put(
      name.text,
      try target.repository.frame.seal(
        try RecordCoding.encode(record), kind: .operation, name: name))
  }

  // MARK: Requests

  /// With other keys, the record of a restore that was asked for has another name in the copy.
  func copyRequests() async throws {
    guard !target.sharesKeys else { return }
    for id in (history.catalogue.operations[.requests] ?? []).sorted() {
      let name = ObjectPath.operation(.requests, id: id)
      do {
        let record = try await source.record(PerformedRequest.self, name, kind: .operation)
        try source.check(true, record.repository, name)
        if try await target.repository.reading(ofRequest: record.id).isPerformed { continue }
        try await target.repository.record(
          performed: record.id, point: record.point, at: record.at)
      } catch let error as LifeboatError where error.isDamage {
        state.add(
          VerifyFinding(
            .remark, name.text, error.reason, consequence: "it is ignored, and is not copied"),
          damaged: name)
      }
    }
  }

  // MARK: Key slots

  /// The slots of the source that a copy with the same keys lacks: who can open the one opens the other.
  func slots() async throws -> [ObjectPath] {
    guard target.sharesKeys, source.descriptor.cipher != .none else { return [] }
    let known = Set(target.catalogue.keySlots)
    let slots = KeySlots(store: source.store, repository: source.id)
    let listed = try await slots.listed { id in
      id == source.id.hexadecimal || KeySlot.isAdded(id)
    }
    return listed.first.map { .key($0.id) }.filter { slot in
      guard case .key(let id) = slot else { return false }
      return !known.contains(id) && !damaged.contains(slot)
    }
  }

  private func put(_ slot: ObjectPath) async throws {
    guard
      let object = try await source.store.read(slot.text, limit: ObjectKind.keySlot.objectBytesMax)
    else { return }
    let frame = Frame(compression: .none, secrets: nil, randomBytes: { secureRandomBytes($0) })
    do {
      let content = try frame.open(
        object, kind: .keySlot, name: slot, limit: KeySlot.sizeMax
      ).content
      _ = try RecordCoding.decode(KeySlot.self, from: content, name: slot.text)
    } catch let error as LifeboatError {
      // Anyone who may create objects can have put it there. Its key opens nothing in the source either.
      state.add(
        VerifyFinding(
          .remark, slot.text, error.reason, consequence: "it opens nothing, and is not copied"),
        damaged: slot)
      return
    }
    _ = try await put(slot.text, object)
  }
}
