import Auditing
import BackupTypes
import Glibc
import HistoryLogic
import Recovery
import RepositoryAccess
import Shipping
import SystemIO

/// The rules that must hold.
extension World {
  /// The most file descriptors that one sidecar may have open.
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

  /// Records the look if the sidecar calls it covered.
  func note(_ sidecar: Sidecar) {
    guard case .covered(let at) = sidecar.shipper.auditor.verdict, at >= sidecar.startedAt,
      covers.last?.at != at || covers.last?.process != sidecar.process.name,
      !isOvertaken(sidecar.process)
    else { return }
    let (seen, now) = (era(at: at), era(at: machine.milliseconds + 1))
    let isSame = seen?.life == now?.life && seen?.rewrites == now?.rewrites
    covers.append(
      Cover(
        process: sidecar.process.name, at: at, wall: machine.wallMilliseconds,
        until: machine.wallMilliseconds - (isSame ? 0 : machine.milliseconds - at),
        disks: onDisk(at: at), era: isSame || steppedAt < at ? seen : nil,
        // Only an active sidecar records the manifest.
        isRewriting: !redis.isLegacy && sidecar.shipper.status.current.state == .active
          && redis.rewritingSince.map { $0 < at } ?? false))
  }

  /// At any instant the repository is sound, and a restore gives what a sidecar calls covered.
  func check() async throws {
    buryDead()
    let objects = bucket.objects
    let claims = sidecars.compactMap { sidecar -> (String, [Disk])? in
      guard case .covered(let at) = sidecar.shipper.auditor.verdict else { return nil }
      if isOvertaken(sidecar.process) {
        count(.isOvertaken)
        return nil
      }
      return (sidecar.process.name, onDisk(at: at))
    }
    try checkBounds()
    try await verify(objects)
    // A loss is only found when what was lost is checked next.
    if hasLost { return }
    _ = try await newest(objects, isAOFOn: redis.isAOFOn)
    for (name, disks) in claims {
      try await require(disks, "\(name.prefix { $0 != "-" }) says covered", of: objects)
    }
    if !claims.isEmpty { count(.coveredIsTrue) }
    try await checkPromises(objects)
  }

  /// Whether another process claimed a moment ago. Its claim may cut off what this one shipped meanwhile;
  /// until that is uploaded again, a restore gives less. A writer looks for newer claims once a minute, if
  /// the store answers.
  func isOvertaken(_ process: Process) -> Bool {
    guard let claim = bucket.lastClaim, claim.process !== process else { return false }
    return machine.milliseconds - max(claim.at, bucket.lastRefusal) < 70_000
  }

  /// A restore of the newest state gives what was on disk, or a state that follows from it.
  func require(_ disks: [Disk], _ what: String, of objects: [String: SimBucket.Object]? = nil)
    async throws
  {
    if timesLie { return count(.timesLie) }
    var found = 0
    for disk in disks {
      // No data, or a damaged dump: a server would load nothing.
      if disk.data.state <= 0 { return }
      found = try await newest(objects ?? bucket.objects, isAOFOn: disk.isAOFOn)?.state ?? 0
      if follows(found, disk.data.state) { return }
      // If the AOF was switched off a moment ago, it is the newest state until that is certain. The restore
      // says that the server has to start with AOF.
      guard !disk.isAOFOn else { continue }
      found = try await newest(objects ?? bucket.objects, isAOFOn: true)?.state ?? 0
      if follows(found, disk.data.state) { return }
    }
    // Since then the server may have started over on an emptied volume. The newest state is then the new one.
    let since = self.disks.drop { $0.at < disks[0].at }
    for isAOFOn in Set(since.map(\.isAOFOn)) {
      found = try await newest(objects ?? bucket.objects, isAOFOn: isAOFOn)?.state ?? 0
      if since.contains(where: { $0.data.state > 0 && follows(found, $0.data.state) }) { return }
    }
    throw Violation(
      kind: "\(what), and a restore does not give it",
      detail: "state \(disks.map(\.data.state)) was on disk, and a restore gives \(found)")
  }

  /// Whether file times mislead because the clock was set back: they show the older of dump and AOF as the
  /// newest state. Or the clock was set back during a save, so that the dump ends before it begins. The AOF
  /// may then be older or newer than the dump. The AOF counts, with a warning, and the dump is shipped, too.
  private var timesLie: Bool {
    guard wentBack, let dump = redis.root.entries["dump.rdb"] else { return false }
    let began = SimRedis.began(rdb: dump.bytes)
    if !redis.isAOFOn, let began, began > dump.modified / 1_000_000_000 { return true }
    let folder = redis.root.entries["appendonlydir"].map { Array($0.entries.values) } ?? []
    let logs = folder + [redis.root.entries["appendonly.aof"]].compactMap { $0 }
    let isDumpNewest = logs.allSatisfy {
      $0.modified < dump.modified && $0.modified / 1_000_000_000 <= began ?? .max
    }
    return isDumpNewest == redis.isAOFOn
  }

  /// What a restore of the newest state gives; nil if there is nothing to restore.
  private func newest(_ objects: [String: SimBucket.Object], isAOFOn: Bool) async throws
    -> Dataset?
  {
    do {
      return try await held(objects, .newest(), isAOFOn)
    } catch let error as LifeboatError where error.code == .suspect {
      count(.restoreAsks)
      return try await held(objects, .newest(.newest), isAOFOn)
    } catch let error as LifeboatError where error.code == .noBackup {
      if objects.keys.contains(where: { $0.hasSuffix("/claim") }) { count(.firstUploadIsCutOff) }
      return nil
    }
  }

  /// A restore gives a state that the server had, with all its keys.
  private func held(
    _ objects: [String: SimBucket.Object], _ question: Question, _ isAOFOn: Bool
  ) async throws -> Dataset? {
    do {
      let found = try await restore(objects, question, isAOFOn: isAOFOn)
      guard let found else { return nil }
      guard datasets[found.state] == found else {
        throw Violation(
          kind: "a restored state never was",
          detail: "\(found), and \(String(describing: datasets[found.state])) was")
      }
      return found
    } catch let error as LifeboatError
      where error.message.contains("has no restore point")
      && (!wasCovered || isClaimedNow || isCutOffForNow)
    {
      // A first upload was cut off. The restore says so, and does not give another state instead.
      count(.firstUploadIsCutOff)
      return nil
    } catch let error as LifeboatError where error.code != .suspect && error.code != .noBackup {
      throw Violation(kind: "a restore fails", detail: "\(error)")
    } catch let error as SimRedis.Broken {
      throw Violation(kind: "no server starts on what was restored", detail: "\(error)")
    }
  }

  /// Whether the last claim cut off what another process had shipped, and its process ended before it had
  /// uploaded that again. No look was covered since.
  private var isCutOffForNow: Bool {
    guard let claim = bucket.lastClaim,
      let last = covers.last(where: { $0.disks.contains { $0.data.state > 0 } }),
      last.at < claim.at, last.process != claim.process?.name
    else { return false }
    return !sidecars.contains { $0.process === claim.process && !$0.process.isDead }
  }

  /// Whether another process's claim cut off what the look saw, and that was not uploaded again.
  private func isCutOff(_ cover: Cover) -> Bool {
    guard let claim = bucket.lastClaim, claim.process?.name != cover.process, cover.at < claim.at
    else { return false }
    return isClaimedNow || isCutOffForNow
  }

  private var isClaimedNow: Bool {
    bucket.lastClaim.map { machine.milliseconds - max($0.at, bucket.lastRefusal) < 70_000 } ?? false
  }

  private var wasCovered: Bool { covers.contains { $0.disks.contains { $0.data.state > 0 } } }

  private func verify(_ objects: [String: SimBucket.Object]) async throws {
    guard !hasLost, objects["lifeboat.json"] != nil else { return }
    let report = try await Verifier(
      still(objects), options: .init(sample: nil, by: "simulation", keys: keys),
      now: { SystemClock.now() }, draw: { 0 }, progress: { _, _ in }
    ).run()
    guard report.isSound else {
      throw Violation(kind: "the repository is not sound", detail: report.text)
    }
    count(.sound)
  }

  /// `--at` a time between two covered looks of one sidecar gives a state of that time.
  private func checkPromises(_ objects: [String: SimBucket.Object]) async throws {
    guard !wentBack, covers.count > 1 else { return }
    let first = covers.firstIndex { machine.wallMilliseconds - $0.wall < policy.keepWithin }
    guard let first, first + 1 < covers.count else { return }
    let index = Int.random(in: first + 1..<covers.count, using: &random)
    let (before, after) = (covers[index - 1], covers[index])
    // If the server started over, the first of these may be its earlier data.
    let held = before.disks.map(\.data.state)
    guard before.isContinued(by: after), let disk = before.disks.last, held.allSatisfy({ $0 > 0 }),
      after.at - before.at < 60_000,
      machine.wallMilliseconds - before.wall < policy.keepWithin
    else { return }
    guard after.until >= before.wall else { return }
    let time = Int64.random(in: before.wall...after.until, using: &random) / 1000 * 1000
    guard time >= before.wall else { return }
    let found: Dataset?
    do {
      found = try await self.held(objects, .at(Instant(milliseconds: time)), disk.isAOFOn)
    } catch let error as LifeboatError {
      if error.code == .noBackup, isReplacedWhileIdle(from: index) {
        return count(.idleLogIsReplaced)
      }
      // It is not known when the power loss removed the last writes.
      if error.code == .noBackup, hasFallenBack { return count(.hasFallenBack) }
      if error.code == .noBackup, isCutOff(before) { return count(.isOvertaken) }
      throw Violation(
        kind: "a promised time is refused", detail: "at \(time): \(error)")
    }
    count(.promise)
    if hasPruned { count(.promiseAfterPruning) }
    // Times of dumps and annotations are whole seconds.
    let second = began.filter { $0.wall > time && $0.wall <= time + 999 }
    let latest = (began.filter { $0.wall <= time }.suffix(1) + second).map(\.state)
    func isRight(_ found: Dataset?) -> Bool {
      guard let found else { return false }
      return held.contains { follows(found.state, $0) }
        && latest.contains { follows($0, found.state) }
    }
    if isRight(found) { return }
    // The repository has log that a power loss removed from the disk, at a time that no look saw.
    if let found, lostStates.contains(found.state),
      held.contains(where: { follows(found.state, $0) }),
      began.contains(where: { $0.state == found.state && $0.wall <= time + 999 })
    {
      return count(.hasFallenBack)
    }
    if isCutOff(before) { return count(.isOvertaken) }
    // The restore used the log although the server ran without AOF. It says that the server has to start with
    // AOF.
    if !disk.isAOFOn, isRight(try await self.held(objects, .at(Instant(milliseconds: time)), true))
    {
      return
    }
    throw Violation(
      kind: "a promised time gives another state",
      detail: "at \(time): state \(found?.state ?? 0), not between \(held) and \(latest)")
  }

  /// Whether nothing was written after that look until another log replaced this one, and no look saw both.
  /// The AOF may have been switched off in between, which looks the same, so the time is in a gap.
  private func isReplacedWhileIdle(from index: Int) -> Bool {
    let held = Set(covers[index].disks.map(\.data.state))
    let isAOFOn = covers[index].disks.last?.isAOFOn
    for (number, cover) in covers.enumerated().dropFirst(index) {
      // Without its AOF a server loads another state, although nothing was written.
      if cover.disks.contains(where: { $0.isAOFOn != isAOFOn }) { return true }
      if held.isDisjoint(with: cover.disks.map(\.data.state)) { return false }
      let next =
        number + 1 < covers.count ? covers[number + 1].era : era(at: machine.milliseconds + 1)
      guard let era = cover.era, let next, next.life == era.life,
        next.rewrites <= era.rewrites + (cover.isRewriting ? 1 : 0)
      else { return true }
    }
    return false
  }

  /// The faults end, one sidecar remains, and nothing is written: within a minute everything is covered, and
  /// from then on the store gets no requests.
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
      // It was told to stop just before.
      buryDead()
      startSidecar()
      await sleep(61_000)
      return try await checkSettled(sidecars[0])
    }
    try await checkSettled(sidecar)
  }

  private func checkSettled(_ sidecar: Sidecar) async throws {
    let shown = sidecar.shipper.status.current
    let verdict = sidecar.shipper.auditor.verdict
    if shown.state == .standby, hasMoved {
      // Only a person can know that the other writer is gone.
      count(.personTakesOver)
      sidecar.process.die()
      await sidecar.process.task?.value
      buryDead()
      startSidecar(takesOver: true)
      await sleep(61_000)
      hasMoved = false
      defer { hasMoved = true }
      return try await checkSettled(sidecars[0])
    }
    // Files without data, such as a log with only an annotation, are not shipped, and may be reported as lag.
    guard verdict.isCovered || redis.onDisk == Dataset() || timesLie else {
      throw Violation(
        kind: "not covered a minute after the last fault",
        detail: """
          \(sidecar.process.name) says \(verdict), \(shown.state) \(shown.reason ?? ""), and \
          \(redis.onDisk) is on disk
          """)
    }
    count(.settled)
    try checkBounds()
    try await check()
    noteDisk()
    try await require([disks.last!], "all is covered")
    var calls: [String: Int] = [:]
    // Objects that folds replaced are deleted after a while.
    for _ in 0..<3 {
      let before = bucket.calls
      await sleep(60_000)
      calls = bucket.calls.reduce(into: [:]) { $0[$1.key] = $1.value - before[$1.key, default: 0] }
      if calls.values.reduce(0, +) <= (setting.probes ? 16 : 0) { return }
    }
    throw Violation(kind: "an idle world asks the store", detail: "\(calls)")
  }

  /// Writes the objects to the real disk, as a directory repository.
  func keepBucket(in directory: String) throws {
    for (name, object) in bucket.objects {
      let path = "\(directory)/\(name)"
      for end in path.indices where path[end] == "/" { mkdir(String(path[..<end]), 0o755) }
      guard let file = fopen(path, "w") else {
        throw Violation(kind: "the bucket can't be kept", detail: path)
      }
      fwrite(object.bytes, 1, object.bytes.count, file)
      fclose(file)
    }
  }
}
