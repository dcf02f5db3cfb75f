import BackupTypes
import Testing

/// The plan gets random legal events from a model of a Redis and its data directory. Its actions are
/// performed on an in-memory repository. After every step, `ShipWorld` checks that the invariants hold and
/// that a restore gives a state that the model had.
@Suite struct WritingTests {
  @Test("whatever a server does, every restore point is a state it had, and the plan settles")
  func model() async throws {
    let (first, count) = seeds(default: 1200)
    var failures: [String: (count: Int, seed: UInt64)] = [:]
    var (restarts, settled) = (0, 0)
    for seed in first..<first + count {
      await Task.yield()  // tests that wait need a thread
      do {
        var world = ShipWorld(seed: seed)
        for _ in 0..<world.disk.random.int(20...250) where !world.isOver { try world.step() }
        if world.isOver {
          restarts += 1
          continue
        }
        try world.settle()
        settled += 1
      } catch {
        let text = "\(error)".prefix { !$0.isNumber }
        failures[String(text), default: (0, seed)].count += 1
        if failures[String(text)]!.count == 1 { print("seed \(seed): \(error)") }
      }
    }
    print("ship plan model: seeds from \(first), \(settled) settled, \(restarts) ended early")
    #expect(failures.isEmpty, "\(failures)")
    #expect(settled > count / 2)
  }
}
