import Shipping

/// What is known of a world, to compare it with what a restore gives.
extension World {
  /// What a server would have loaded, since when.
  struct Disk {
    var at: Int64
    var data: Dataset
    var isAOFOn: Bool
  }

  /// A look that was covered.
  struct Cover {
    var process: String
    var at, wall: Int64
    /// The wall clock when it knew or, if a server started over or replaced its log in between, when it looked.
    var until: Int64
    var disks: [Disk]
    /// Nil: it changed in the millisecond of the look.
    var era: Era?
    /// Whether the look saw the files before and after a rewrite that had not ended.
    var isRewriting: Bool

    /// Whether every time between the two looks is known. If a rewrite began and ended between them, nobody
    /// saw a manifest that shows what its files follow; the single file of a legacy AOF has none.
    func isContinued(by later: Cover) -> Bool {
      guard let era, let next = later.era, process == later.process, era.life == next.life else {
        return false
      }
      return next.rewrites == era.rewrites || (isRewriting && next.rewrites == era.rewrites + 1)
    }
  }

  /// Which life it was, and how many rewrites had ended, from a time on (monotonic, ms).
  struct Era {
    var at: Int64
    var life, rewrites: Int
  }

  var hasStandby: Bool { sidecars.contains { $0.shipper.status.current.state == .standby } }

  /// Whoever does not know the number of another's claim takes it again if the store has lost that.
  func keepOneWriter() {
    guard let writer = sidecars.first(where: { $0.shipper.status.current.state == .active }) else {
      return
    }
    for other in sidecars where other.process !== writer.process { other.process.die() }
    buryDead()
  }

  /// The machine loses its power, and with it perhaps log that was shipped.
  func losePower() throws {
    let before = redis.onDisk.state
    var isLess = false
    try endServer { isLess = try redis.losePower() }
    for sidecar in sidecars { sidecar.process.die() }
    buryDead()
    guard isLess else { return }
    hasFallenBack = true
    var lost = before
    while lost > 0, !follows(redis.onDisk.state, lost) {
      lostStates.insert(lost)
      lost = parents[lost] ?? 0
    }
    count(.logIsLost)
  }

  func noteEra() {
    guard eras.last!.life != life || eras.last!.rewrites != redis.rewrites else { return }
    eras.append(Era(at: machine.milliseconds, life: life, rewrites: redis.rewrites))
  }

  func era(at time: Int64) -> Era? {
    let found = eras.last { $0.at <= time }
    return found?.at == time ? nil : found
  }

  func noteDisk() {
    noteEra()
    guard disks.last?.data != redis.onDisk || disks.last?.isAOFOn != redis.isAOFOn else { return }
    noteDisk(redis.onDisk)
  }

  func noteDisk(_ data: Dataset) {
    disks.append(Disk(at: machine.milliseconds, data: data, isAOFOn: redis.isAOFOn))
  }

  /// What a look at that time may have seen: what was on disk just before, and what came in that millisecond.
  func onDisk(at time: Int64) -> [Disk] {
    let index = disks.lastIndex { $0.at < time } ?? 0
    return Array(disks[index...].prefix { $0.at <= time })
  }

  /// Whether `state` is `earlier`, or was made of it.
  func follows(_ state: Int, _ earlier: Int) -> Bool {
    var state = state
    while state > earlier, let parent = parents[state] { state = parent }
    return state == earlier
  }
}
