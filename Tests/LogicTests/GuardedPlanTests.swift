import BackupFormat
import BackupTypes
import RedisFormats
import Testing
import WriterLogic

/// The shrink guard while Lifeboat watches. It only asks if nothing proves that one state follows the other.
/// The timeline then ends with the previous state.
@Suite struct GuardedPlanTests {
  /// A server's directory, and a plan whose every action succeeds.
  private struct World {
    var now: Int64 = 20_000
    var plan: Writing
    /// The bytes of each log, and the contents of each full copy, by pin.
    var logs: [Int: [UInt8]] = [:]
    var datasets: [Int: DatasetRecord] = [:]
    var dump: Int?
    private var savedAt: Int64 = 0
    var base: Int?
    var log: Int?
    private(set) var snapshots: [Snapshot] = []

    init(question: Pin? = nil) {
      var comparison = Comparison(hasNews: true, hasPoint: false)
      if let question {
        _ = comparison.pins.add(question)
        comparison.question = question.id
      }
      plan = Writing(
        claim: claim(1), comparison: comparison,
        view: CaptureView(at: at(now), dump: nil, aof: .absent), options: .init())
    }

    private func pinned(_ pin: Int, _ name: String, size: Int, modified: Int64) -> PinnedFile {
      PinnedFile(
        pin: PinID(pin), name: name, size: UInt64(size),
        modified: FileMoment(seconds: modified / 1000, nanoseconds: 0), born: nil,
        identity: FileIdentity(inode: UInt64(pin), bornSeconds: 1, bornNanoseconds: 0))
    }

    private var view: CaptureView {
      let size = log.flatMap { logs[$0]?.count } ?? 0
      let set = AOFSetView(
        form: .multiPart(directory: "d", manifest: "m"),
        base: base.map {
          .init(file: pinned($0, "\($0).base.rdb", size: 100, modified: 1000), sequence: Int64($0))
        },
        increments: log.map {
          [
            .init(
              file: pinned($0, "\($0).incr.aof", size: size, modified: now), sequence: Int64($0))
          ]
        } ?? [], manifestModified: nil)
      return CaptureView(
        at: at(now),
        dump: dump.map { pinned($0, "dump.rdb", size: 100, modified: savedAt) },
        aof: log == nil ? .absent : .set(set))
    }

    /// Looks, reads and ships until nothing is left to do.
    mutating func settle() {
      for _ in 0..<100 {
        now += 5000
        plan.observe(view)
        for (pin, from, to) in plan.unscanned {
          logs[pin.value]![Int(from)..<Int(to)].withUnsafeBytes {
            plan.consume($0, of: pin)
          }
        }
        let actions = plan.actions(now: at(now))
        if actions.isEmpty { return }
        for action in actions {
          switch action {
          case .putSnapshot(let snapshot):
            snapshots.append(snapshot)
            plan.recordDurable(span: nil, now: at(now))
          case .putLog(let shipment):
            plan.recordDurable(span: span(shipment.from, shipment.to), now: at(now))
          case .putGuardRecord, .putFold: plan.recordDurable(span: nil, now: at(now))
          case .uploadGeneration(let upload):
            let pin = upload.pin.value
            plan.generationDurable(
              GenerationResult(
                index: index(
                  generationID(UInt64(pin)), upload.kind, file: upload.file.name, contentAt: now,
                  dataset: datasets[pin])))
          }
        }
      }
      Issue.record("the plan does not settle")
    }

    /// Starts a server with AOF: a BASE with `keys` keys and a log of commands.
    mutating func startAOF(_ number: Int, keys: UInt64, log commands: [[UInt8]]) {
      (base, log) = (number, number + 1)
      datasets[number] = dataset(keys: keys)
      logs[number + 1] = command("SELECT", "0") + commands.flatMap { $0 }
    }
    mutating func save(_ number: Int, keys: UInt64, expiring: UInt64 = 0) {
      (dump, savedAt) = (number, now)
      datasets[number] = DatasetRecord(
        server: nil, rdbVersion: 11, isValkey: false,
        databases: [.init(number: 0, keys: keys, expires: expiring, types: [:])], functions: 0)
    }
  }

  private func sets(_ count: Int) -> [[UInt8]] { (0..<count).map { command("SET", "k\($0)", "v") } }

  /// All data is in the INCR, and the BASE is empty.
  private func filled() -> World {
    var world = World()
    world.startAOF(1, keys: 0, log: sets(500))
    world.settle()
    return world
  }

  @Test func `a server that began again with 2 of 500 keys ends the timeline with the 500`() {
    var world = filled()
    world.startAOF(11, keys: 0, log: sets(2))
    world.settle()
    #expect(world.plan.suspicion?.reason == .smaller && world.plan.isReadyToAsk)
    let last = world.snapshots.last
    #expect(last?.primary == .aof && last?.estimate == .init(keys: 500, expires: 0))
    #expect(last?.chain?.base?.generation == generationID(1))
    #expect(last?.detached?.awaitedBase == "11.base.rdb")
    #expect(!world.plan.isNewestStateReadable)
    // Nothing that follows changes this.
    let count = world.snapshots.count
    world.startAOF(21, keys: 0, log: sets(1))
    world.settle()
    #expect(!world.snapshots[count...].contains { $0.chain?.base?.generation != generationID(1) })
  }

  @Test func `one that goes on from a BASE with the keys is the same state`() {
    var world = filled()
    world.startAOF(11, keys: 480, log: sets(2))
    world.settle()
    #expect(world.plan.suspicion == nil && !world.plan.isReadyToAsk)
    #expect(world.snapshots.last?.chain?.base?.generation == generationID(11))
    #expect(world.plan.isNewestStateReadable)
  }

  @Test func `what the log removed before the server began again explains it`() {
    var world = filled()
    world.logs[2]! += (0..<500).flatMap { command("DEL", "k\($0)") }
    world.settle()
    world.startAOF(11, keys: 0, log: [])
    world.settle()
    #expect(world.plan.suspicion == nil)
    #expect(world.snapshots.last?.chain?.base?.generation == generationID(11))
  }

  @Test func `while one question is open no second is asked`() {
    let pin = Pin(
      id: "s", repository: nonce(99), origin: .start, reason: "empty", at: at(0),
      until: at(.max), timeline: .first, snapshot: 1, position: nil)
    var world = World(question: pin)
    world.startAOF(1, keys: 0, log: sets(500))
    world.settle()
    world.startAOF(11, keys: 0, log: sets(2))
    world.settle()
    #expect(world.plan.suspicion == nil)
    #expect(world.snapshots.last?.chain?.base?.generation == generationID(11))
    // After the answer, the next question is asked.
    world.plan.settlePins(released: ["s"], now: at(world.now))
    world.startAOF(21, keys: 0, log: [])
    world.settle()
    #expect(world.plan.suspicion?.reason == .empty)
  }

  @Test func `of dumps alone, what had an expiry may go, and the rest not`() {
    for (expiring, isSuspect) in [(500 as UInt64, false), (0, true)] {
      var world = World()
      world.save(1, keys: 500, expiring: expiring)
      world.settle()
      world.save(2, keys: 2)
      world.settle()
      #expect((world.plan.suspicion != nil) == isSuspect)
      #expect(world.plan.isReadyToAsk == isSuspect)
      #expect(world.snapshots.last?.dump?.generation == generationID(isSuspect ? 1 : 2))
    }
  }

  @Test func `a dump beside a live AOF is explained by the log`() {
    var world = filled()
    world.save(7, keys: 0)
    world.now += 10_000
    world.logs[2]! += command("SET", "later", "1")
    world.settle()
    #expect(world.plan.suspicion == nil)
  }

  @Test func `a snapshot tells when there is much more, and soon enough`() {
    let world = filled()
    #expect((world.snapshots.compactMap(\.estimate?.keys).max() ?? 0) >= 125)
    #expect(world.snapshots.count < 10)
  }
}
