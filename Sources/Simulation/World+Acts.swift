import Auditing
import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import Recovery
import RepositoryAccess
import Shipping
import SystemIO
import SystemPackage

/// What each act does.
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
    case .saveEnds:
      if let before = redis.root.entries["dump.rdb"] { oldDump = before.bytes }
      redis.finishSave()
    case .switchOff: redis.switchOff()
    case .switchOn: redis.switchOn()
    case .serverIsKilled: if redis.isRunning { endServer { redis.kill() } }
    case .powerIsLost: if redis.isRunning { try losePower() }
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
      bucket.awayUntil = machine.milliseconds + int(500...90_000)
    case .denied: await deny(int(1000...60_000))
    case .wait: await sleep(int(1000...70_000))
    case .check: try await check()
    case .settle: try await settle()
    case .wallSteps:
      guard !without.contains("clock") else { return }
      let step = int(-90_000...90_000)
      if step < 0 { wentBack = true }
      machine.wallOffset += step * 1_000_000
      steppedAt = machine.milliseconds
    case .volumeMoves: try await moveVolume()
    case .isTouched: touch()
    case .restoreReplaces: try await restoreInPlace()
    case .prune: try await prune()
    case .night: try await night()
    case .sync: try await sync()
    case .dumpIsCopied: await copyDump()
    case .isUnmounted: await unmount()
    case .storeForgets: try await forget()
    case .storeIsWiped: try await wipe()
    case .standbyIsDenied: await denyStandby()
    case .isEmptied: try await empty()
    }
  }

  func endServer(_ body: () throws -> Void) rethrows {
    try body()
    redis.refreshOnDisk()
    life += 1
  }

  /// For that many milliseconds the store refuses everything.
  private func deny(_ milliseconds: Int64) async {
    guard !without.contains("denied") else { return }
    bucket.isDenied = true
    await sleep(milliseconds)
    bucket.isDenied = false
  }

  /// A second sidecar, on another machine, finds that the repository has an owner; then the store denies
  /// access.
  private func denyStandby() async {
    buryDead()
    if sidecars.count < 2 { startSidecar(host: "host-b") }
    await sleep(int(5000...20_000))
    for _ in 0..<8 {
      await deny(int(35_000...60_000))
      await sleep(int(5000...40_000))
      guard hasStandby else { return }
    }
  }

  /// Someone deletes everything in the directory, and the server starts with nothing.
  private func empty() async throws {
    buryDead()
    if sidecars.count == 1, chance(50) { startSidecar(host: "host-b") }
    await sleep(int(0...20_000))
    if redis.isRunning { endServer { redis.stop() } }
    for name in redis.root.entries.keys.sorted() { disk.remove(name, in: redis.root) }
    redis.refreshOnDisk()
    noteDisk()
    life += 1
    // A standby sees a directory without files.
    await sleep(int(0...20_000))
    try start(redis)
    for _ in 0..<3 { write() }
  }

  /// One of the sidecars will die at one of its next effects.
  private func arm() {
    guard !without.contains("death"), let victim = sidecars.randomElement(using: &random) else {
      return
    }
    let when = Process.Death.allCases.randomElement(using: &random)!
    victim.process.effectsLeft = (Int(int(0...12)), when)
  }

  /// `ship --once`, while other processes run.
  private func shipOnce() async throws {
    let once = makeSidecar(isOnce: true)
    let begun = machine.milliseconds
    nonisolated(unsafe) var outcome: Shipper.Outcome?
    run(once.process) {
      outcome = try await once.shipper.run()
    } failed: { _ in
    }
    await once.process.task?.value
    guard let outcome, outcome.isComplete else { return }
    count(.onceIsComplete)
    if isOvertaken(once.process) { return count(.isOvertaken) }
    try await require(onDisk(at: begun), "`ship --once` ended with success")
  }

  /// The pod moves: its volume is copied to another, and mounted in its place.
  private func moveVolume() async throws {
    for sidecar in sidecars { sidecar.process.die() }
    buryDead()
    redis.stop()
    hasMoved = true
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

  /// `lifeboat sync --wait`: once it is done, a restore gives what was on disk when it was requested.
  private func sync() async throws {
    buryDead()
    guard let sidecar = sidecars.randomElement(using: &random) else { return }
    let asked = machine.milliseconds
    let number = sidecar.shipper.requestSync()
    for _ in 0..<60 where !sidecar.process.isDead {
      if sidecar.shipper.status.shipping.syncDone >= number {
        count(.syncIsDone)
        if isOvertaken(sidecar.process) { return count(.isOvertaken) }
        return try await require(onDisk(at: asked), "a sync was done")
      }
      await sleep(500)
    }
  }

  /// Someone copies an older dump over the dump, slowly, while the server keeps running.
  private func copyDump() async {
    guard let dump = redis.root.entries["dump.rdb"], let old = oldDump else {
      oldDump = redis.root.entries["dump.rdb"]?.bytes
      return
    }
    // After a restore it can be a hard link to the BASE (docs/restore.md): overwriting it would damage both.
    guard dump.links == 1 else { return }
    disk.overwrite(dump, Array(old.prefix(old.count / 2)))
    refreshDump()
    await sleep(int(10...5000))
    disk.overwrite(dump, old)
    refreshDump()
    count(.dumpIsCopied)
  }

  private func refreshDump() {
    guard !redis.isAOFOn else { return }
    redis.refreshOnDisk()
    life += 1
    noteDisk()
  }

  /// For a while another volume is mounted, or none; the server still writes to its own.
  private func unmount() async {
    // A process that just started has found its directory by then.
    await sleep(100)
    disk.mount(chance(50) ? disk.makeVolume() : nil, at: World.data)
    noteDisk(Dataset())
    life += 1
    if chance(30) { startSidecar() }
    if chance(50) { write() }
    await sleep(int(100...40_000))
    disk.mount(redis.root, at: World.data)
    noteDisk(redis.onDisk)
    life += 1
  }

  /// The store loses the objects that were created last. The auditor notices, and they are uploaded again.
  private func forget() async throws {
    guard setting.probes, !without.contains("loss"), bucket.objects.count > 3 else { return }
    guard bucket.forgetTail(Int(int(1...4))) else { return }
    lose {}
    count(.storeForgets)
    await writeOn(360)
    try await settle()
  }

  /// The store loses everything. A sidecar that has seen the repository does not create another one.
  private func wipe() async throws {
    guard setting.probes, !without.contains("loss"), !bucket.objects.isEmpty else { return }
    let descriptor = bucket.objects["lifeboat.json"]?.bytes
    keepOneWriter()
    lose { bucket.objects = [:] }
    count(.storeIsWiped)
    let witnesses = sidecars.filter { sidecar in
      covers.contains {
        $0.process == sidecar.process.name && $0.disks.contains { $0.data.state > 0 }
      }
    }
    // A sidecar that never saw it may create one.
    let mayBeMade = witnesses.count < sidecars.count
    await writeOn(360)
    for witness in witnesses where !witness.process.isDead {
      // It uploads what it knows of its own repository again, or nothing.
      let found = bucket.objects["lifeboat.json"]?.bytes
      guard found == nil || found == descriptor || mayBeMade else {
        throw Violation(
          kind: "a repository that vanished is made again", detail: "by \(witness.process.name)")
      }
      if witness.shipper.auditor.verdict.isCovered {
        try await require([disks.last!], "covered after the store was wiped")
      }
      count(.wipedStoreIsLeftAlone)
    }
    for sidecar in sidecars { sidecar.process.die() }
    buryDead()
    bucket.objects = [:]
    startSidecar()
    try await settle()
  }

  private func lose(_ body: () -> Void) {
    body()
    hasLost = true
    life += 1
  }

  /// Lets that many seconds pass, with an occasional write.
  private func writeOn(_ seconds: Int) async {
    for _ in 0..<seconds / 10 {
      write()
      await sleep(10_000)
    }
  }

  /// `chown`, `chmod`, a hard link: only the change time changes.
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
    var question = Question.newest(.newest)
    if chance(50), !wentBack, let at = began.randomElement(using: &random)?.wall {
      question = .at(Instant(milliseconds: at + 1000))
    }
    nonisolated(unsafe) var isDone = false
    for attempt in 0..<2 {
      let process = newProcess("restore")
      if attempt == 0, chance(50), !without.contains("death") {
        process.effectsLeft = (
          Int(int(0...40)), Process.Death.allCases.randomElement(using: &random)!
        )
      }
      let store = RetryingStore(
        SimStore(bucket: bucket, process: process),
        policy: .init(budget: .seconds(60), permanentTries: 3), report: { _ in })
      let options = replacing(question)
      run(process) {
        _ = try await Restorer(
          options: options, store: store, now: { SystemClock.now() }, note: { _ in },
          progress: { _, _ in }
        ).run()
        isDone = true
      } failed: { [self] in
        machine.note("refused: \($0)")
        count(.restoreIsRefused)
      }
      await process.task?.value
      if process.isDead { count(.restoreDies) } else { break }
    }
    redis.refreshOnDisk()
    count(isDone ? .restoreIsDone : .restoreIsNotDone)
    // All or nothing; a restore that died twice is finished, or undone, by the next.
    if !isDone, redis.onDisk != before, !restoreIsUnfinished {
      throw Violation(
        kind: "a restore that failed changed the data",
        detail: "\(redis.onDisk) instead of \(before)")
    }
    if restoreIsUnfinished, !isDone {
      // No server is started on a half-restored directory: the operator runs the restore again.
      let process = newProcess("restore")
      let store = SimStore(bucket: bucket, process: process)
      let options = replacing(question)
      run(process) {
        _ = try await Restorer(
          options: options, store: store, now: { SystemClock.now() }, note: { _ in },
          progress: { _, _ in }
        ).run()
      } failed: { _ in
      }
      await process.task?.value
    }
    redis.refreshOnDisk()
    life += 1
    try start(redis)
    startSidecar()
  }

  private var restoreIsUnfinished: Bool { redis.root.entries.keys.contains(".lifeboat-restore") }

  private func replacing(_ question: Question) -> Restorer.Options {
    var plan = RestorePlan.Options()
    plan.usesLegacyForm = setting.isLegacy
    var options = Restorer.Options(
      data: FilePath(World.data), question: question, plan: plan)
    options.replaces = true
    options.keys = keys
    return options
  }

  /// `lifeboat prune`, which may die.
  private func prune() async throws {
    guard bucket.objects["lifeboat.json"] != nil else { return }
    let process = newProcess("prune")
    if chance(30), !without.contains("death") {
      process.effectsLeft = (
        Int(int(0...12)), Process.Death.allCases.randomElement(using: &random)!
      )
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
      if report.objects > 0 {
        hasPruned = true
        count(.pruneDeletes)
      }
    } failed: { [self] _ in
      count(.pruneIsRefused)
    }
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
    guard chance(80) else { return }
    await sleep(int(100...20_000))
    try await prune()
  }
}
