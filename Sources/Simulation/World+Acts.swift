import BackupLogic
import BackupTypes
import ObjectStorage
import Replication
import SystemIO
import SystemPackage

/// What happens.
extension World {
  func perform(_ kind: Act.Kind) async throws {
    switch kind {
    case .write: write()
    case .burst: for _ in 0..<int(2...12) { write() }
    case .writePartly: writePartly()
    case .flush: write(flushes: true)
    case .rewriteBegins: redis.beginRewrite()
    case .rewriteEnds: redis.finishRewrite()
    case .rewriteFails: redis.failRewrite()
    case .saveBegins: redis.beginSave()
    case .saveEnds: redis.finishSave()
    case .switchOff: redis.switchOff()
    case .switchOn: redis.switchOn()
    case .serverIsKilled: if redis.isRunning { endServer { redis.kill() } }
    case .powerIsLost:
      if redis.isRunning {
        try endServer { if try redis.losePower() { count("log is lost with the power") } }
        // The machine is down.
        for sidecar in sidecars { sidecar.process.die() }
        buryDead()
      }
    case .serverStops: if redis.isRunning { endServer { redis.stop() } }
    case .serverStarts: try start(redis)
    case .sidecarDies: arm()
    case .sidecarStops: for sidecar in sidecars { sidecar.shipper.requestStop() }
    case .sidecarStarts:
      buryDead()
      if sidecars.isEmpty { startSidecar(host: chance(20) ? "host-b" : "host-a") }
    case .secondSidecar:
      buryDead()
      if sidecars.count < 2 { startSidecar(host: chance(50) ? "host-b" : "host-a") }
    case .once: try await shipOnce()
    case .outage:
      guard !without.contains("away") else { return }
      fault()
      bucket.awayUntil = machine.milliseconds + int(500...90_000)
    case .denied:
      guard !without.contains("denied") else { return }
      fault()
      bucket.isDenied = true
      await sleep(int(1000...20_000))
      bucket.isDenied = false
    case .wait: await sleep(int(1000...70_000))
    case .check: try await check()
    case .settle: try await settle()
    case .wallSteps:
      guard !without.contains("clock") else { return }
      let step = int(-90_000...90_000)
      if step < 0 { wentBack = true }
      machine.wallOffset += step * 1_000_000
    case .volumeMoves: try await moveVolume()
    case .isTouched: touch()
    case .restoreReplaces: try await restoreInPlace()
    case .prune: try await prune()
    case .night: try await night()
    }
  }

  func fault() { lastFault = machine.milliseconds }

  private func endServer(_ body: () throws -> Void) rethrows {
    try body()
    redis.refreshOnDisk()
    life += 1
  }

  /// One of the processes dies at one of its next effects.
  private func arm() {
    guard !without.contains("death"), let victim = sidecars.randomElement(using: &random) else {
      return
    }
    let when = Process.Death.allCases.randomElement(using: &random)!
    victim.process.effectsLeft = (Int(int(0...12)), when)
  }

  /// `ship --once`, beside whatever runs.
  private func shipOnce() async throws {
    let once = makeSidecar(isOnce: true)
    let begun = machine.milliseconds
    nonisolated(unsafe) var outcome: Shipper.Outcome?
    run(once.process) { outcome = try await once.shipper.run() } failed: { _ in }
    await once.process.task?.value
    guard let outcome, outcome.isComplete else { return }
    count("once is complete")
    try await require(onDisk(before: begun), "`ship --once` ended with success")
  }

  /// The pod moves: its volume is copied to another, and mounted in its place.
  private func moveVolume() async throws {
    for sidecar in sidecars { sidecar.process.die() }
    buryDead()
    redis.stop()
    let root = disk.makeVolume()
    disk.copy(redis.root, onto: root)
    disk.mount(root, at: World.data)
    redis.root = root
    redis.refreshOnDisk()
    life += 1
    await sleep(int(100...30_000))
    try start(redis)
    startSidecar(host: "host-c")
  }

  /// `chown`, `chmod`, a hard link: times change, and nothing else.
  private func touch() {
    let folder = redis.root.entries["appendonlydir"]
    for file in (folder.map { Array($0.entries.values) } ?? []) + Array(redis.root.entries.values)
    where !file.isDirectory {
      file.changed = machine.wall
    }
  }

  /// A person stops the server and the sidecar, and restores over the data directory; the restore may die.
  private func restoreInPlace() async throws {
    for sidecar in sidecars { sidecar.shipper.requestStop() }
    await sleep(int(100...30_000))
    for sidecar in sidecars { sidecar.process.die() }
    buryDead()
    if redis.isRunning { endServer { redis.stop() } }
    let before = redis.onDisk
    var selection = PointSelection()
    if chance(50), !wentBack, let at = began.randomElement(using: &random)?.wall {
      selection.at = Instant(milliseconds: at + 1000)
    } else {
      selection.suspect = .newest
    }
    nonisolated(unsafe) var isDone = false
    for attempt in 0..<2 {
      let process = newProcess("restore")
      if attempt == 0, chance(50), !without.contains("death") {
        process.effectsLeft = (Int(int(0...40)), Process.Death.allCases.randomElement(using: &random)!)
      }
      let store = RetryingStore(
        SimStore(bucket: bucket, process: process),
        policy: .init(budget: .seconds(60), permanentTries: 3), report: { _ in })
      let options = replacing(selection)
      run(process) {
        _ = try await Restorer(
          options: options, store: store, now: { SystemClock.now() }, note: { _ in },
          progress: { _, _ in }
        ).run()
        isDone = true
      } failed: { [self] _ in count("restore is refused") }
      await process.task?.value
      if process.isDead { count("restore dies") } else { break }
    }
    redis.refreshOnDisk()
    count(isDone ? "restore is done" : "restore is not done")
    // All or nothing; a restore that died twice is finished, or undone, by the next.
    if !isDone, redis.onDisk != before, !restoreIsUnfinished {
      throw Violation(
        kind: "a restore that failed changed the data",
        detail: "\(redis.onDisk) instead of \(before)")
    }
    if redis.root.entries.keys.contains(where: { $0.hasPrefix(".lifeboat-restore") }), !isDone {
      // Nobody starts a server on a half restored directory: the operator looks again.
      let process = newProcess("restore")
      let store = SimStore(bucket: bucket, process: process)
      let options = replacing(selection)
      run(process) {
        _ = try await Restorer(
          options: options, store: store, now: { SystemClock.now() }, note: { _ in },
          progress: { _, _ in }
        ).run()
      } failed: { _ in }
      await process.task?.value
    }
    redis.refreshOnDisk()
    life += 1
    try start(redis)
    startSidecar()
  }

  private var restoreIsUnfinished: Bool {
    redis.root.entries.keys.contains { $0.hasPrefix(".lifeboat") }
  }

  private func replacing(_ selection: PointSelection) -> Restorer.Options {
    var plan = RestorePlan.Options()
    plan.usesLegacyForm = setting.isLegacy
    var options = Restorer.Options(
      data: FilePath(World.data), selection: selection, plan: plan)
    options.replaces = true
    options.keys = keys
    return options
  }

  /// `lifeboat prune`, which may die.
  private func prune() async throws {
    guard bucket.objects["lifeboat.json"] != nil else { return }
    let process = newProcess("prune")
    if chance(30), !without.contains("death") {
      process.effectsLeft = (Int(int(0...12)), Process.Death.allCases.randomElement(using: &random)!)
    }
    let store = RetryingStore(
      SimStore(bucket: bucket, process: process),
      policy: .init(budget: .seconds(15), permanentTries: 1), report: { _ in })
    let (keys, policy) = (keys, policy)
    run(process) { [self] in
      guard let repository = try await Repository.open(store, keys: keys) else { return }
      let report = try await Pruner(
        repository, options: .init(policy: policy, by: "prune", isConfirmed: true),
        now: { SystemClock.now() }
      ).run()
      if report.objects > 0 { count("prune deletes") }
    } failed: { [self] _ in count("prune is refused") }
    await process.task?.value
  }

  /// Everything is down for hours.
  private func night() async throws {
    for sidecar in sidecars { sidecar.shipper.requestStop() }
    await sleep(30_000)
    for sidecar in sidecars { sidecar.process.die() }
    buryDead()
    endServer { redis.stop() }
    await sleep(int(3_600_000...200_000_000))
    try start(redis)
    startSidecar()
  }
}
