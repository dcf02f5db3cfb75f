import BackupFormat
import BackupTypes
import HistoryLogic
import TestSupport
import Testing
import WriterLogic

/// Who may claim: each rule of design 5 and decision 0003 as a row, then two and three shippers that are
/// restarted again and again.
@Suite struct OwnershipTests {
  private struct Row: Sendable {
    var rule: String
    var claims: Bool
    var source = "s"
    var directory = "d2"
    var instance = "mine"
    var takesOver = false
    var hasNewest = true
    var known: Set<String> = ["other"]
    var isClean = false
    var isPointless = false
    var still: Int64?
    var isHeir = false
    /// The objects under an unreadable claim above the newest readable one; nil if there is no such claim.
    var unreadable: Int?
  }

  private static let rows = [
    Row(rule: "nothing was ever claimed", claims: true, hasNewest: false),
    Row(rule: "its own instance need not wait", claims: true, instance: "other"),
    Row(rule: "another's open timeline", claims: false),
    Row(rule: "--take-over", claims: true, takesOver: true),
    Row(
      rule: "another source stands by, even after a clean end", claims: false, source: "t",
      isClean: true, still: .max),
    Row(
      rule: "another source never is the heir", claims: false, source: "t", isPointless: true,
      isHeir: true),
    Row(
      rule: "its own instance with another source", claims: false, source: "t",
      instance: "other"),
    Row(rule: "--take-over of another source", claims: true, source: "t", takesOver: true),
    Row(rule: "a clean end, another directory, at once", claims: false, isClean: true, still: 0),
    Row(rule: "a clean end, not looked at twice", claims: false, isClean: true),
    Row(
      rule: "a clean end, just within the courtesy", claims: false, isClean: true,
      still: Ownership.courtesy - 1),
    Row(
      rule: "a clean end, after the courtesy", claims: true, isClean: true,
      still: Ownership.courtesy),
    Row(
      rule: "a clean end, the same directory, at once", claims: true, directory: "d",
      isClean: true),
    Row(rule: "a clean end, the heir, at once", claims: true, isClean: true, isHeir: true),
    Row(rule: "the same directory, still growing", claims: false, directory: "d", still: 0),
    Row(
      rule: "the same directory, nearly stagnant", claims: false, directory: "d",
      still: Ownership.stagnation - 1),
    Row(
      rule: "the same directory, stagnant", claims: true, directory: "d",
      still: Ownership.stagnation),
    Row(rule: "another directory is never taken over by waiting", claims: false, still: .max),
    Row(rule: "the heir, which never owned", claims: true, isHeir: true),
    Row(
      rule: "the heir that owned and lost it", claims: false, known: ["other", "mine"],
      isHeir: true),
    Row(rule: "no point to protect, never owned", claims: true, isPointless: true),
    Row(
      rule: "no point to protect, owned and lost it", claims: false, known: ["other", "mine"],
      isPointless: true),
    Row(
      rule: "an unreadable claim under which nothing was shipped is only a number", claims: true,
      instance: "other", unreadable: 0),
    Row(
      rule: "an unreadable claim changes nothing about the newest readable one", claims: false,
      unreadable: 0),
    Row(
      rule: "something was shipped under it: an unknown writer may live", claims: false,
      instance: "other", still: Ownership.courtesy - 1, unreadable: 3),
    Row(
      rule: "nothing was added to it for a while, after a claim of its own", claims: true,
      instance: "other", still: Ownership.courtesy, unreadable: 3),
    Row(
      rule: "after another's claim it has to be still for longer", claims: false, isClean: true,
      still: Ownership.stagnation - 1, unreadable: 3),
    Row(
      rule: "after another's clean end, still for long", claims: true, isClean: true,
      still: Ownership.stagnation, unreadable: 3),
    Row(
      rule: "no claim can be read at all, and something was shipped", claims: false,
      hasNewest: false, unreadable: 3),
    Row(
      rule: "no claim can be read at all: still", claims: true, hasNewest: false,
      still: Ownership.courtesy, unreadable: 3),
    Row(
      rule: "no claim can be read at all: garbage", claims: true, hasNewest: false, unreadable: 0),
    Row(rule: "--take-over of it", claims: true, takesOver: true, still: 0, unreadable: 3),
    Row(
      rule: "another source stands by before it", claims: false, source: "t", still: .max,
      unreadable: 0),
  ]

  @Test(arguments: rows.indices) func `each rule`(_ number: Int) {
    let row = OwnershipTests.rows[number]
    let shipper = Ownership(
      source: SourceName(given: row.source), instance: row.instance, directory: row.directory,
      takesOver: row.takesOver
    )
    let decision = shipper.decide(
      .init(
        newest: row.hasNewest ? claim(1, instance: "other", directory: "d") : nil,
        instances: row.known, isClean: row.isClean, isPointless: row.isPointless, still: row.still,
        isHeir: row.isHeir,
        unreadable: row.unreadable.map {
          UnreadableClaim(timeline: TimelineNumber(2)!, reason: "", objects: $0)
        }))
    #expect((decision == .claim) == row.claims, "\(row.rule)")
    if case .standby(let reason) = decision {
      #expect(reason.contains("--take-over"), "\(row.rule): it says what one can do")
    }
  }

  @Test func `a hostile source is printed safely`() {
    let shipper = Ownership(
      source: SourceName(given: "s"), instance: "i", directory: "d", takesOver: false)
    let decision = shipper.decide(
      .init(
        newest: claim(1, source: "\u{1b}[2J", instance: "x"), instances: [], isClean: false,
        isPointless: false, still: nil, isHeir: false))
    guard case .standby(let reason) = decision else { return #expect(Bool(false)) }
    #expect(!reason.unicodeScalars.contains { $0.value < 0x20 })
  }

  /// Shippers on different directories are killed and restarted again and again, all with new data. After the
  /// first claim, the owner only changes after a clean shutdown.
  @Test func `killed and restarted for ever, they never take the repository from each other`() async
  {
    for seed in UInt64(1)...500 {
      await Task.yield()  // tests that wait need a thread
      var world = World(seed: seed)
      for _ in 0..<400 { world.step() }
      // A repository without restore points can be claimed once by each shipper that never owned it.
      #expect(world.changes <= world.shippers.count - 1, "seed \(seed)")
    }
  }

  @Test func `each change of owner is explained by one clean end`() async {
    for seed in UInt64(1)...500 {
      await Task.yield()  // tests that wait need a thread
      var world = World(seed: seed, endsWell: true)
      for _ in 0..<400 { world.step() }
      #expect(world.changes <= world.cleanEnds + world.shippers.count - 1, "seed \(seed)")
    }
  }

  /// The facts, as `DiskComparison` and the shipper collect them.
  private struct World {
    var shippers: [Ownership]
    var random: SeededRandom
    var endsWell = false
    var newest: Claim?
    var instances: Set<String> = []
    var isClean = false
    var isPointless = true
    var isHeir: [Bool]
    var lastGrowth: Int64 = 0
    /// When each shipper was started, which is also its first look.
    var started: [Int64]
    var now: Int64 = 0
    var changes = 0
    var cleanEnds = 0

    init(seed: UInt64, endsWell: Bool = false) {
      random = SeededRandom(seed: seed)
      let count = random.int(2...3)
      shippers = (0..<count).map {
        Ownership(
          source: SourceName(given: "s"), instance: "i\($0)", directory: "d\($0)", takesOver: false)
      }
      self.endsWell = endsWell
      isHeir = [Bool](repeating: false, count: count)
      started = [Int64](repeating: 0, count: count)
    }

    mutating func step() {
      now += Int64(random.int(1...400_000))
      let number = random.int(0...shippers.count - 1)
      let shipper = shippers[number]
      let owns = newest?.instance == shipper.instance
      switch random.int(0...9) {
      case 0..<4: start(number)
      case 4..<7: if owns { grow() }  // the owner ships, if it runs
      case 7: if owns, endsWell, !isClean { (isClean, cleanEnds) = (true, cleanEnds + 1) }
      case 8: if owns { (isPointless, lastGrowth) = (false, now) }
      default: started[number] = now  // killed
      }
    }

    private mutating func grow() {
      (isClean, lastGrowth) = (false, now)
      isHeir = isHeir.map { _ in false }
    }

    private mutating func start(_ number: Int) {
      let shipper = shippers[number]
      let still = now - max(lastGrowth, started[number])
      let decision = shipper.decide(
        .init(
          newest: newest, instances: instances, isClean: isClean, isPointless: isPointless,
          still: still > 0 ? still : nil, isHeir: isHeir[number]))
      guard decision == .claim else { return }
      if let newest, newest.instance != shipper.instance { changes += 1 }
      newest = claim(
        (newest?.timeline.value ?? 0) + 1, instance: shipper.instance, directory: shipper.directory)
      instances.insert(shipper.instance)
      grow()
    }
  }
}
