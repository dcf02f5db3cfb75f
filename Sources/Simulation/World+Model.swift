import Shipping

/// What is known of a world, to compare it with what a restore gives.
extension World {
  /// What a server would have loaded from the disk, from `at` on (monotonic, ms).
  struct Disk {
    var at: Int64
    var data: Dataset
    var isAOFOn: Bool
  }

  /// A look that was covered.
  struct Cover {
    var process: String
    var at, wall: Int64
    /// The wall clock when the look was found covered or, if the server started over or replaced its log
    /// since the look, when it was taken.
    var until: Int64
    var disks: [Disk]
    /// Nil: it changed in the millisecond of the look.
    var era: Era?
    /// Whether the look was taken during a rewrite, so that its manifest lists the files before and after it.
    var isRewriting: Bool

    /// Whether `--at` any time between the two looks has an answer. If a rewrite began and ended between
    /// them, no look saw the manifest that lists the files before and after it. A legacy AOF has no manifest.
    func isContinued(by later: Cover) -> Bool {
      guard let era, let next = later.era, process == later.process, era.life == next.life else {
        return false
      }
      return next.rewrites == era.rewrites || (isRewriting && next.rewrites == era.rewrites + 1)
    }
  }

  /// The server's life, and how many rewrites had ended, from `at` on (monotonic, ms).
  struct Era {
    var at: Int64
    var life, rewrites: Int
  }

  var hasStandby: Bool { sidecars.contains { $0.shipper.status.current.state == .standby } }

  /// Ends all sidecars but the active one. A process that does not know another's claim would use its number
  /// again after the store lost it.
  func keepOneWriter() {
    guard let writer = sidecars.first(where: { $0.shipper.status.current.state == .active }) else {
      return
    }
    for other in sidecars where other.process !== writer.process { other.process.die() }
    buryDead()
  }

  /// The machine loses power, and perhaps log that was already shipped.
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

  /// What a look at that time may have seen: what was on disk just before, and what was written in that
  /// millisecond.
  func onDisk(at time: Int64) -> [Disk] {
    let index = disks.lastIndex { $0.at < time } ?? 0
    return Array(disks[index...].prefix { $0.at <= time })
  }

  /// Whether `state` is `earlier`, or follows from it.
  func follows(_ state: Int, _ earlier: Int) -> Bool {
    var state = state
    while state > earlier, let parent = parents[state] { state = parent }
    return state == earlier
  }
}
