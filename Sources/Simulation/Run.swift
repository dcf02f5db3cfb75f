import BackupTypes
import CSimulation
import TestSupport

/// One world from its beginning to its end.
struct Run {
  struct Result {
    var violation: Violation?
    /// The same for the same seed, acts and code.
    var trace: UInt64
    var counts: [String: Int]
    var jobs: Int
  }

  var seed: UInt64
  var acts: [Act]
  var without: Set<String> = []

  init(seed: UInt64) {
    self.seed = seed
    acts = Act.draw(seed: seed)
  }

  func run() -> Result {
    let text =
      "\nsimulate: a trap, no memory left, or no end in seed \(seed)\n  replay: \(Simulation.replay(self))\n"
    csim_guard(text, 300, 4 << 30)
    nonisolated(unsafe) var violation: Violation?
    nonisolated(unsafe) var counts: [String: Int] = [:]
    let (seed, acts, without) = (seed, acts, without)
    let end = Machine.run(seed: seed) {
      let world = World(seed: seed, acts: acts, without: without)
      do {
        try await world.live()
      } catch let found as Violation {
        violation = found
      } catch {
        violation = Violation(kind: "an error that nobody expects", detail: "\(error)")
      }
      try? await world.end()
      counts = world.counts.merging(world.bucket.faults) { $0 + $1 }.merging(Happening.zeros) {
        a, _ in a
      }
    }
    let machine = Machine.shared
    switch end {
    case .success: break
    case .failure(.nothingIsReady):
      violation = Violation(kind: "everything waits", detail: "no job is ready, and no timer runs")
    case .failure(.endless):
      violation = Violation(kind: "no end", detail: "after \(counted(machine.jobs, "job"))")
    }
    return Result(violation: violation, trace: machine.trace, counts: counts, jobs: machine.jobs)
  }

  /// Faults that can be switched off in a world.
  static let faults = [
    "lost-reply", "failed-call", "slow-call", "away", "denied", "clock", "death", "loss",
  ]

  /// The shortest run found that still has a violation of the same kind: leaves out faults and acts, one
  /// after the other.
  func shrunk(_ kind: String, runsMax: Int = 300) -> Run {
    var best = self
    var runs = 0
    func fails(_ run: Run) -> Bool {
      runs += 1
      return run.run().violation?.kind == kind
    }
    for fault in Run.faults {
      var candidate = best
      candidate.without.insert(fault)
      if fails(candidate) { best = candidate }
    }
    var size = max(1, best.acts.count / 2)
    while size >= 1, runs < runsMax {
      var start = 0
      var isShorter = false
      while start < best.acts.count, runs < runsMax {
        var candidate = best
        candidate.acts.removeSubrange(start..<min(start + size, best.acts.count))
        if fails(candidate) {
          best = candidate
          isShorter = true
        } else {
          start += size
        }
      }
      if !isShorter || size > 1 { size /= 2 }
    }
    return best
  }
}
