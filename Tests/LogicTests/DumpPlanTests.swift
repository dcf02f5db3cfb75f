import BackupFormat
import BackupTypes
import Testing
import WriterLogic

/// When a dump is shipped, and for how long a snapshot names it.
@Suite struct DumpPlanTests {
  /// A server's directory, and a plan whose every action succeeds.
  private struct World {
    var now: Int64 = 1_000_000
    var plan: Writing
    var dump: (number: Int, savedAt: Int64)?
    /// The AOF, if there is one: a BASE and an empty log.
    var log: Int?
    /// When the log was last written; nil means now.
    var wroteAt: Int64?
    /// When the save of the dump began; nil means when it ended.
    var forkedAt: Int64?
    /// When the volume was copied, which created all files.
    var copiedAt: Int64?
    private(set) var uploads: [String] = []
    private(set) var last: Snapshot?
    private(set) var primaries: [Snapshot.Primary?] = []

    init(
      _ change: (inout Writing.Options) -> Void = { _ in }, dump known: Int64? = nil,
      carried: Bool = false
    ) {
      var options = Writing.Options()
      change(&options)
      var comparison = Comparison(hasNews: true, hasPoint: known != nil)
      if let known {
        comparison.dump = .init(
          record: .init(
            generation: generationID(77), file: "dump.rdb", contentAt: at(known), pinnedAt: nil),
          dataset: dataset(keys: 9), file: nil)
        comparison.before = (.first, 1, nil)
      }
      if carried {
        let form = AOFForm.multiPart(directory: "d", manifest: "m")
        let base = Snapshot.Base(generation: generationID(5), file: "b", sequence: 1)
        comparison.carried = ClosedChain(
          record: .init(form: form, base: base, files: []), until: at(900_000))
      }
      plan = Writing(
        claim: claim(2, parent: 1), comparison: comparison,
        view: CaptureView(at: at(now), dump: nil, aof: .absent), options: options)
    }

    private func pinned(_ pin: Int, _ name: String, size: Int, modified: Int64) -> PinnedFile {
      PinnedFile(
        pin: PinID(pin), name: name, size: UInt64(size),
        modified: FileMoment(seconds: modified / 1000, nanoseconds: 0),
        born: copiedAt.map { FileMoment(seconds: $0 / 1000, nanoseconds: 0) },
        identity: FileIdentity(inode: UInt64(pin), bornSeconds: 1, bornNanoseconds: 0))
    }

    private var view: CaptureView {
      let set = log.map { log in
        AOFSetView(
          form: .multiPart(directory: "d", manifest: "m"),
          base: .init(
            file: pinned(log, "\(log).base.rdb", size: 100, modified: now), sequence: Int64(log)),
          increments: [
            .init(
              file: pinned(log + 1, "\(log).incr.aof", size: 0, modified: wroteAt ?? now),
              sequence: Int64(log))
          ], manifestModified: nil)
      }
      return CaptureView(
        at: at(now),
        dump: dump.map { pinned($0.number, "dump.rdb", size: 100, modified: $0.savedAt) },
        aof: set.map { .set($0) } ?? .absent)
    }

    mutating func save(_ number: Int) { dump = (number, now) }

    /// Looks after this much time, and does what is due then.
    mutating func turn(after wait: Int64 = 1000, breaking: Bool = false) {
      now += wait
      plan.observe(view)
      while true {
        let actions = plan.actions(now: at(now))
        if actions.isEmpty { return }
        for action in actions {
          switch action {
          case .putSnapshot(let snapshot):
            last = snapshot
            primaries.append(snapshot.primary)
            plan.recordDurable(span: nil, now: at(now))
          case .putLog(let shipment):
            plan.recordDurable(span: span(shipment.from, shipment.to), now: at(now))
          case .putGuardRecord, .putFold: plan.recordDurable(span: nil, now: at(now))
          case .uploadGeneration(let upload):
            if breaking {
              _ = plan.generationBroken()
              continue
            }
            let pin = UInt64(upload.pin.value)
            uploads.append("\(pin)")
            plan.generationDurable(
              GenerationResult(
                index: index(
                  generationID(pin), upload.kind, file: upload.file.name,
                  contentAt: upload.kind == .dump
                    ? forkedAt ?? upload.file.modified.instant.milliseconds
                    : upload.file.modified.instant.milliseconds, dataset: dataset(keys: 9))))
          }
        }
      }
    }
  }

  private let hour: Int64 = 3_600_000

  @Test func `without an AOF every dump is shipped, unless an interval was given`() {
    var each = World()
    for number in 1...3 {
      each.save(number)
      each.turn(after: 60_000)
    }
    #expect(each.uploads == ["1", "2", "3"])

    var limited = World { $0.dumpIntervalAlone = hour }
    limited.save(1)
    limited.turn()
    #expect(limited.uploads == ["1"], "the first restore point does not wait")
    let begun = limited.now
    limited.save(2)
    limited.turn()
    #expect(limited.uploads == ["1"])
    // It is behind, and reports since when.
    #expect(limited.plan.unshipped.generationSince == at(begun))
    #expect(limited.plan.unshipped.bytes == 100)
    #expect(limited.plan.nextWake(now: at(limited.now)) == at(begun + hour))
    limited.save(3)
    limited.turn(after: begun + hour - limited.now - 1)
    #expect(limited.uploads == ["1"])
    limited.turn(after: 1)
    #expect(limited.uploads == ["1", "3"], "the newest of them")
    #expect(limited.plan.unshipped.generationSince == nil)
  }

  @Test func `a sync, the end, and a clock that was set back do not wait`() {
    var world = World { $0.dumpIntervalAlone = hour }
    world.save(1)
    world.turn()
    world.save(2)
    world.turn()
    world.plan.flush()
    world.turn()
    #expect(world.uploads == ["1", "2"])
    world.plan.slowDown()
    world.save(3)
    world.turn()
    #expect(world.uploads == ["1", "2"])
    world.turn(after: -2 * hour)
    #expect(world.uploads == ["1", "2", "3"])
  }

  @Test func `after a restart the interval counts from the last dump`() {
    var world = World({ $0.dumpIntervalAlone = hour }, dump: 1_000_000 - 600_000)
    world.save(1)
    world.turn()
    #expect(world.uploads.isEmpty)
    world.turn(after: hour - 600_000)
    #expect(world.uploads == ["1"])
  }

  @Test func `a dump that failed its check does not keep the next one waiting`() {
    var world = World { $0.dumpIntervalAlone = hour }
    world.save(1)
    world.turn()
    world.turn(after: hour)
    world.save(2)
    world.turn(breaking: true)
    #expect(world.uploads == ["1"])
    world.save(3)
    world.turn(after: 60_000)
    #expect(world.uploads == ["1", "3"])
  }

  @Test func `the first dump of a server that has given up its AOF does not wait`() {
    var world = World { $0.dumpIntervalAlone = hour }
    world.log = 10
    world.turn()
    world.save(1)
    world.turn()
    #expect(world.uploads == ["10", "1"] && world.last?.primary == .aof)
    (world.log, world.now) = (nil, world.now + 10_000)
    world.save(2)
    for _ in 0..<3 { world.turn(after: 5000) }
    #expect(world.uploads == ["10", "1", "2"] && world.last?.primary == .rdb)
    world.save(3)
    world.turn(after: 60_000)
    #expect(world.uploads == ["10", "1", "2"])
  }

  /// Otherwise a crash after a sync would lose what the sync has backed up.
  @Test func `a dump that a sync made the newest state stays it until the AOF is written again`() {
    var world = World()
    world.log = 10
    world.turn()
    world.wroteAt = world.now
    world.now += 1000
    world.save(1)
    world.plan.flush()
    world.turn()
    #expect(world.last?.primary == .rdb, "\(world.primaries)")
    world.plan.slowDown()
    world.turn()
    #expect(world.last?.primary == .rdb, "\(world.primaries)")
    world.wroteAt = nil
    world.turn()
    #expect(world.last?.primary == .aof, "\(world.primaries)")
  }

  /// On a copied volume, no birth time counts: it is unknown, or later than the log's last write, and the
  /// dump was overwritten in place since. The log was written while the dump was saved. A sync does not wait
  /// until the log grows.
  @Test(arguments: [nil, 955_000] as [Int64?])
  func `a dump that was begun before the log was written is not the newest state of a sync`(
    copiedAt: Int64?
  ) {
    var world = World()
    world.log = 10
    (world.forkedAt, world.wroteAt, world.copiedAt) = (900_000, 950_000, copiedAt)
    world.dump = (1, 960_000)
    world.plan.flush()
    world.turn()
    #expect(world.uploads.contains("1") && world.last?.primary == .aof)
  }

  /// The previous chain goes up to 900 s. The dump that was copied over the one on disk is from 880 s. Until
  /// the BASE of this shipper is durable, the previous chain is the newest state.
  @Test func `on a copied volume an old dump is never newer than the chain before`() {
    var world = World(carried: true)
    world.log = 10
    (world.forkedAt, world.wroteAt, world.copiedAt) = (880_000, 895_000, 955_000)
    world.dump = (1, 960_000)
    for _ in 0..<3 { world.turn(after: 5000) }
    #expect(world.uploads.contains("1") && world.uploads.contains("10"), "\(world.uploads)")
    #expect(world.primaries.allSatisfy { $0 == .aof }, "\(world.primaries)")
  }

  /// Retention keeps what the last snapshot names. So a dump that is neither the newest state nor on disk
  /// must not stay there for ever.
  @Test func `a snapshot no longer names what is neither the newest state nor on disk`() {
    var world = World()
    world.log = 10
    world.save(1)
    world.turn()
    world.turn()
    #expect(world.last?.primary == .aof && world.last?.dump != nil)
    world.dump = nil
    world.turn()
    #expect(world.last?.primary == .aof && world.last?.dump == nil)
    // The dump came back. It is shipped again, because retention may have deleted it.
    world.save(2)
    world.turn(after: 2 * hour)
    #expect(world.uploads == ["10", "1", "2"] && world.last?.dump?.generation == generationID(2))
  }

  @Test func `of a server that gave up its AOF the next shipper names the dump only`() {
    var world = World(dump: 999_000, carried: true)
    world.save(1)
    world.turn()
    #expect(world.uploads == ["1"])
    #expect(world.last?.primary == .rdb && world.last?.chain == nil && world.last?.dump != nil)
  }
}
