import SystemIO
import Testing

@Suite(.timeLimit(.minutes(15))) struct BudgetTests {
  @Test func `requests are granted in their order`() {
    var budget = Budget(capacity: 10)
    let asked = [budget.request(6, by: 1), budget.request(8, by: 2), budget.request(1, by: 3)]
    #expect(asked == [true, false, false], "what waits is not overtaken")
    var granted = budget.giveBack(4)
    #expect(granted == [2])
    #expect(budget.held == 10)
    granted = budget.giveBack(8)
    #expect(granted == [3])
    granted = budget.giveBack(3)
    #expect(granted == [])
    #expect(budget.held == 0)
    #expect(!budget.isWaitedFor)
  }

  @Test func `the next is granted when one that waits goes`() {
    var budget = Budget(capacity: 10)
    let asked = [
      budget.request(6, by: 1), budget.request(9, by: 2), budget.request(2, by: 3),
      budget.request(2, by: 4),
    ]
    #expect(asked == [true, false, false, false])
    var granted = budget.withdraw(2)
    #expect(granted == [3, 4])
    #expect(budget.held == 10)
    granted = budget.withdraw(7)
    #expect(granted == [])
  }

  /// Compared with a simple model: never more than the capacity is used, and no caller waits unnecessarily.
  @Test(arguments: (0..<50) as Range<UInt64>) func `any order of calls keeps the bound`(
    seed: UInt64
  ) {
    var random = Steps(state: seed &+ 1)
    var budget = Budget(capacity: 100)
    var held: [Int: Int] = [:]
    var waiting: [(id: Int, bytes: Int)] = []
    func grant(_ ids: [Int]) {
      for id in ids {
        #expect(waiting.first?.id == id)
        held[id] = waiting.removeFirst().bytes
      }
    }
    for id in 0..<2000 {
      switch Int.random(in: 0..<4, using: &random) {
      case 0, 1:
        let bytes = Int.random(in: 0...100, using: &random)
        if budget.request(bytes, by: id) { held[id] = bytes } else { waiting.append((id, bytes)) }
      case 2:
        guard let one = held.keys.sorted().randomElement(using: &random) else { continue }
        let part = Int.random(in: 0...held[one]!, using: &random)
        held[one]! -= part
        grant(budget.giveBack(part))
      default:
        guard let gone = waiting.randomElement(using: &random) else { continue }
        waiting.removeAll { $0.id == gone.id }
        grant(budget.withdraw(gone.id))
      }
      #expect(budget.held == held.values.reduce(0, +))
      #expect(budget.held <= 100)
      #expect(waiting.first.map { $0.bytes > 100 - budget.held } ?? true)
      #expect(budget.isWaitedFor == !waiting.isEmpty)
    }
  }

  private struct Steps: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ (state >> 29)
    }
  }

  @Test func `a task waits until another gives back`() async throws {
    let gate = BudgetGate(capacity: 10)
    let first = try await gate.take(7)
    let second = Task { try await gate.take(5) }
    while !gate.isWaitedFor { await Task.yield() }
    first.shrink(to: 6)
    #expect(gate.isWaitedFor)
    first.shrink(to: 5)
    let hold = try await second.value
    #expect(gate.held == 10)
    hold.shrink(to: 8)
    #expect(gate.held == 10, "shrinking only gives back")
    hold.shrink(to: 0)
    first.shrink(to: 0)
    #expect(gate.held == 0)
  }

  @Test func `a cancelled task holds nothing and keeps nobody waiting`() async throws {
    let gate = BudgetGate(capacity: 10)
    let first = try await gate.take(7)
    let large = Task { try await gate.take(9) }
    while !gate.isWaitedFor { await Task.yield() }
    let small = Task { try await gate.take(3) }
    large.cancel()
    await #expect(throws: CancellationError.self) { _ = try await large.value }
    let hold = try await small.value
    #expect(gate.held == 10)
    withExtendedLifetime((first, hold)) {}
    let late = Task {
      while !Task.isCancelled { await Task.yield() }
      return try await gate.take(1)
    }
    late.cancel()
    await #expect(throws: CancellationError.self) { _ = try await late.value }
    #expect(!gate.isWaitedFor)
  }

  @Test func `what is dropped is given back`() async throws {
    let gate = BudgetGate(capacity: 10)
    do {
      let hold = try await gate.take(10)
      #expect(gate.held == 10)
      withExtendedLifetime(hold) {}
    }
    #expect(gate.held == 0)
  }
}
