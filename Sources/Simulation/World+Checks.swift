import Auditing
import BackupLogic
import BackupTypes
import Replication
import SystemIO

/// What must hold.
extension World {
  /// So many descriptors does a sidecar have at most.
  private static let handlesMax = 40

  func checkBounds() throws {
    if let failure { throw failure }
    for sidecar in sidecars {
      let handles = disk.handles(of: sidecar.process)
      guard handles <= World.handlesMax else {
        throw Violation(kind: "too many descriptors", detail: "\(handles)")
      }
      note(sidecar)
    }
  }

  /// What a sidecar claims now.
  private func note(_ sidecar: Sidecar) {
    let shown = sidecar.shipper.status.current
    count("state \(shown.state.rawValue)")
    guard case .covered(let at) = sidecar.shipper.auditor.verdict, at >= sidecar.startedAt,
      covers.last?.at != at || covers.last?.process != sidecar.process.name
    else { return }
    covers.append(
      Cover(
        process: sidecar.process.name, at: at,
        wall: machine.wallMilliseconds - (machine.milliseconds - at),
        data: onDisk(before: at), life: life))
  }

  /// At any instant the repository is sound, and what a sidecar calls covered is what a restore gives.
  func check() async throws {
    buryDead()
    let objects = bucket.objects
    let claims = sidecars.compactMap { sidecar -> (String, Dataset)? in
      guard case .covered(let at) = sidecar.shipper.auditor.verdict else { return nil }
      return (sidecar.process.name, onDisk(before: at))
    }
    try checkBounds()
    try await verify(objects)
    if let found = try await newest(objects) {
      for (name, data) in claims where !follows(found.state, data.state) {
        throw Violation(
          kind: "covered, and a restore does not give it",
          detail: "\(name) saw state \(data.state), and a restore gives \(found.state)")
      }
    } else if let (name, data) = claims.first(where: { $0.1.state > 0 }) {
      throw Violation(
        kind: "covered, and there is nothing to restore",
        detail: "\(name) saw state \(data.state)")
    }
    if !claims.isEmpty { count("covered is true") }
    try await checkPromises(objects)
  }

  /// A restore of the newest state gives `data`, or what was made of it.
  func require(_ data: Dataset, _ what: String) async throws {
    let found = try await newest(bucket.objects)
    guard data.state > 0, !follows(found?.state ?? 0, data.state) else { return }
    throw Violation(
      kind: "\(what), and a restore does not give it",
      detail: "state \(data.state) was on disk, and a restore gives \(found?.state ?? 0)")
  }

  /// What a restore of the newest state gives; nil if there is nothing to restore.
  private func newest(_ objects: [String: SimBucket.Object]) async throws -> Dataset? {
    var selection = PointSelection()
    do {
      return try await held(objects, selection)
    } catch let error as LifeboatError where error.code == .suspect {
      count("a restore asks")
      selection.suspect = .newest
      return try await held(objects, selection)
    } catch let error as LifeboatError where error.code == .noBackup {
      return nil
    }
  }

  /// A restore gives a state that was, with all that it held.
  private func held(_ objects: [String: SimBucket.Object], _ selection: PointSelection) async throws
    -> Dataset?
  {
    do {
      let found = try await restore(objects, selection, isAOFOn: redis.isAOFOn)
      guard let found else { return nil }
      guard datasets[found.state] == found else {
        throw Violation(
          kind: "a restored state never was",
          detail: "\(found), and \(String(describing: datasets[found.state])) was")
      }
      return found
    } catch let error as LifeboatError where error.code != .suspect && error.code != .noBackup {
      throw Violation(kind: "a restore fails", detail: "\(error)")
    } catch let error as SimRedis.Broken {
      throw Violation(kind: "no server starts on what was restored", detail: "\(error)")
    }
  }

  private func verify(_ objects: [String: SimBucket.Object]) async throws {
    guard objects["lifeboat.json"] != nil else { return }
    let report = try await Verifier(
      still(objects), options: .init(sample: nil, by: "simulation", keys: keys),
      now: { SystemClock.now() }, draw: { 0 }, progress: { _, _ in }
    ).run()
    guard report.isSound else {
      throw Violation(kind: "the repository is not sound", detail: report.text)
    }
    count("sound")
  }

  /// `--at` a time that lay between two covered looks of one sidecar gives what was held by then.
  private func checkPromises(_ objects: [String: SimBucket.Object]) async throws {
    guard !wentBack, covers.count > 1 else { return }
    let first = max(1, covers.count - 12)
    let index = Int.random(in: first..<covers.count, using: &random)
    let (before, after) = (covers[index - 1], covers[index])
    guard before.process == after.process, before.life == after.life, before.data.state > 0,
      after.at - before.at < 60_000, after.wall - before.wall == after.at - before.at,
      machine.wallMilliseconds - before.wall < policy.keepWithin
    else { return }
    let time = Int64.random(in: before.wall...after.wall, using: &random) / 1000 * 1000
    guard time >= before.wall else { return }
    var selection = PointSelection()
    selection.at = Instant(milliseconds: time)
    let found: Dataset?
    do {
      found = try await held(objects, selection)
    } catch let error as LifeboatError {
      throw Violation(
        kind: "a promised time is refused", detail: "at \(time): \(error)")
    }
    count("a promised time")
    // Times of dumps and annotations are whole seconds.
    let latest = began.last { $0.wall <= time + 999 }?.state ?? 0
    guard let found, follows(found.state, before.data.state), follows(latest, found.state) else {
      throw Violation(
        kind: "a promised time gives another state",
        detail: "at \(time): state \(found?.state ?? 0), not between \(before.data.state) and \(latest)")
    }
  }

  /// The faults end, one sidecar lives, and nobody writes: within a minute all is covered, and then nothing
  /// is asked of the store.
  func settle() async throws {
    allowFaults(false)
    defer { allowFaults(true) }
    try start(redis)
    redis.finishUnit()
    noteDisk()
    buryDead()
    for sidecar in sidecars.dropFirst() {
      sidecar.process.die()
      await sidecar.process.task?.value
    }
    if let first = sidecars.first { first.process.effectsLeft = nil }
    buryDead()
    if sidecars.isEmpty { startSidecar() }
    await sleep(61_000)
    try checkBounds()
    let sidecar = sidecars.first
    guard let sidecar, !sidecar.process.isDead else {
      // It was asked to end just before.
      startSidecar()
      await sleep(61_000)
      return try await checkSettled(sidecars[0])
    }
    try await checkSettled(sidecar)
  }

  private func checkSettled(_ sidecar: Sidecar) async throws {
    let shown = sidecar.shipper.status.current
    let verdict = sidecar.shipper.auditor.verdict
    guard verdict.isCovered || (verdict == .nothing && redis.onDisk.state == 0) else {
      throw Violation(
        kind: "not covered a minute after the last fault",
        detail: "\(sidecar.process.name) says \(verdict), \(shown.state) \(shown.reason ?? "")")
    }
    count("settled")
    try await check()
    try await require(redis.onDisk, "all is covered")
    let before = bucket.calls
    await sleep(60_000)
    let calls = bucket.calls.reduce(into: [:]) { $0[$1.key] = $1.value - before[$1.key, default: 0] }
    let asked = calls.values.reduce(0, +)
    if asked > 0 {
      throw Violation(kind: "an idle world asks the store", detail: "\(calls)")
    }
  }
}
