import Auditing
import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import Logging
import ObjectStorage
import Recovery
import RepositoryAccess
import Shipping
import SystemIO
import SystemPackage
import TestSupport
import WriterLogic

/// A broken rule.
struct Violation: Error {
  /// The rule, in a few words. Violations of one kind are assumed to have one cause.
  var kind: String
  var detail: String
}

/// A server, its data directory, sidecars, restores, runs of `prune`, and a store. A seed decides what
/// happens, when, and in which order jobs run. The code under test is the real one.
///
/// `@unchecked Sendable`: everything in a simulation runs on one thread.
final class World: @unchecked Sendable {
  /// A sidecar, as `lifeboat ship` makes it.
  struct Sidecar {
    var process: Process
    var shipper: Shipper
    var startedAt: Int64
  }

  /// What a seed decides before anything happens.
  struct Setting {
    var isLegacy, annotates, isAOFOn, isEncrypted: Bool
    /// The auditor checks the repository twice a minute, even when idle; the store may then lose objects.
    var probes: Bool
    var compression: Compression
    var shipInterval, dumpInterval: Int64
    var lostReply, failure, slow: Int
    /// For how long retention keeps every restore point.
    var keepWithin: Int64
  }

  let seed: UInt64
  let acts: [Act]
  /// Faults that are switched off, to shorten a failing run.
  let without: Set<String>
  let setting: Setting
  let bucket = SimBucket()
  let machine: Machine
  let disk: SimDisk
  let redis: SimRedis
  var sidecars: [Sidecar] = []
  /// The random numbers of the current act; earlier acts do not change them.
  var random: SeededRandom
  var isOver = false

  // MARK: The model

  var lastState = 0
  /// For each state: the one before it, its data, and the wall clock when it began.
  var parents: [Int: Int] = [:]
  var datasets: [Int: Dataset] = [0: Dataset()]
  var began: [(wall: Int64, state: Int)] = []
  /// What a server would have loaded from the disk, by time.
  var disks: [Disk] = [Disk(at: 0, data: Dataset(), isAOFOn: true)]
  /// Looks that were covered, by time.
  var covers: [Cover] = []
  /// Counted up whenever the server's data may have gone back to an earlier state, for example at a restart.
  var life = 0 { didSet { noteEra() } }
  var eras = [Era(at: 0, life: 0, rewrites: 0)]
  /// A power loss removed log. The repository may have it, and then has a later state than the disk.
  var hasFallenBack = false
  /// The states in that log.
  var lostStates: Set<Int> = []
  /// When the wall clock was last set (monotonic, ms).
  var steppedAt = Int64.min
  /// The wall clock was set back: times are ambiguous.
  var wentBack = false
  /// The store lost objects: earlier promises no longer hold.
  var hasLost = false
  /// Retention deleted something.
  var hasPruned = false
  /// Claims came from more than one machine or volume: only a person can know that the other one is gone.
  var hasMoved = false
  /// The bytes of an earlier dump.
  var oldDump: [UInt8]?
  var restores = 0
  var processes = 0
  var counts: [String: Int] = [:]

  static let data = "/sim/data"
  /// For the simulator's own tests: a write is a violation.
  nonisolated(unsafe) static var breaksRule = false
  /// Where a world writes its bucket, as a directory repository, to investigate a violation.
  nonisolated(unsafe) static var keptBucket: String?

  init(seed: UInt64, acts: [Act], without: Set<String>) {
    self.seed = seed
    self.acts = acts
    self.without = without
    var random = SeededRandom(seed: seed)
    func one(_ of: Int) -> Bool { Int.random(in: 0..<of, using: &random) == 0 }
    setting = Setting(
      isLegacy: one(4), annotates: !one(3), isAOFOn: !one(5), isEncrypted: one(8), probes: one(2),
      compression: [.zstd, .gzip, .none].randomElement(using: &random)!,
      shipInterval: [200, 1000, 5000].randomElement(using: &random)!,
      dumpInterval: [0, 20_000, 3_600_000].randomElement(using: &random)!,
      lostReply: [0, 5, 40].randomElement(using: &random)!,
      failure: [0, 5, 40].randomElement(using: &random)!,
      slow: [0, 10, 100].randomElement(using: &random)!,
      keepWithin: [RetentionPolicy.hour, 2 * RetentionPolicy.day].randomElement(using: &random)!)
    self.random = random
    machine = Machine.shared
    disk = machine.disk
    let root = disk.makeVolume()
    disk.mount(root, at: World.data)
    redis = SimRedis(
      disk: disk, root: root, isLegacy: setting.isLegacy, annotates: setting.annotates,
      isAOFOn: setting.isAOFOn)
    allowFaults(true)
    bucket.onCall = { [unowned self] in for sidecar in sidecars { note(sidecar) } }
  }

  func count(_ what: String) { counts[what, default: 0] += 1 }
  func count(_ what: Happening) { count(what.rawValue) }

  func allowFaults(_ isOn: Bool) {
    bucket.lostReply = isOn && !without.contains("lost-reply") ? setting.lostReply : 0
    bucket.failure = isOn && !without.contains("failed-call") ? setting.failure : 0
    bucket.slow = isOn && !without.contains("slow-call") ? setting.slow : 0
    if !isOn { (bucket.awayUntil, bucket.isDenied) = (nil, false) }
  }

  // MARK: Life

  func live() async throws {
    try start(redis)
    startSidecar()
    // In some worlds the first upload is cut off, after the claim and before the first restore point.
    if chance(20), !without.contains("death") {
      let when = Process.Death.allCases.randomElement(using: &random)!
      sidecars[0].process.effectsLeft = (Int(int(8...20)), when)
      await sleep(8000)
      try await check()
    }
    for act in acts {
      random = SeededRandom(seed: seed &* 31 &+ UInt64(act.number) &* 0x9e37_79b9)
      machine.note("act \(act)")
      count(act.kind.rawValue)
      try await perform(act.kind)
      if World.breaksRule, act.kind == .write {
        throw Violation(kind: "the rule that --break-a-rule breaks", detail: "\(act)")
      }
      noteDisk()
      try checkBounds()
      await sleep(int(1...900))
    }
    try await settle()
    try await end()
  }

  /// Ends all processes, so that nothing of this world remains.
  func end() async throws {
    if let directory = World.keptBucket { try keepBucket(in: directory) }
    for sidecar in sidecars {
      sidecar.process.die()
      await sidecar.process.task?.value
    }
    sidecars = []
  }

  func int(_ range: ClosedRange<Int64>) -> Int64 { .random(in: range, using: &random) }
  func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

  func sleep(_ milliseconds: Int64) async {
    try? await Task.sleep(for: .milliseconds(milliseconds))
  }

  // MARK: The server

  func start(_ redis: SimRedis) throws {
    guard !redis.isRunning else { return }
    do {
      try redis.start()
    } catch {
      throw Violation(kind: "the server can't start", detail: "\(error)")
    }
    life += 1
    // A restore may bring back what a power loss removed.
    if let last = began.last, !follows(last.state, redis.data.state) {
      began.append((machine.wallMilliseconds, redis.data.state))
    }
    noteDisk()
  }

  func write(flushes: Bool = false) {
    guard redis.isRunning else { return }
    nextState()
    redis.write(lastState, flushes: flushes)
    noteState()
  }

  func writePartly() {
    guard redis.isRunning else { return }
    nextState()
    redis.writePartly(lastState)
    noteState()
  }

  private func nextState() {
    lastState += 1
    parents[lastState] = redis.data.state
  }

  private func noteState() {
    datasets[lastState] = redis.data
    began.append((machine.wallMilliseconds, lastState))
    noteDisk()
  }

  // MARK: Processes

  func newProcess(_ name: String) -> Process {
    processes += 1
    return Process(name: "\(name)-\(processes)")
  }

  var keys: KeySource {
    setting.isEncrypted
      ? KeySource(file: nil, value: World.key) : .none
  }

  private static let key = EncryptionKey(bytes: [UInt8](repeating: 0x5a, count: 32)).reveal()

  static let logger = Logger(label: "simulation") { _ -> any LogHandler in
    if Machine.isVerbose { TraceLog() } else { SwiftLogNoOpLogHandler() }
  }

  var policy: RetentionPolicy {
    RetentionPolicy(
      keepWithin: setting.keepWithin, keepHourly: RetentionPolicy.hour, keepDaily: 7)
  }

  func options(isOnce: Bool, host: String, takesOver: Bool) -> Shipper.Options {
    var writing = Writing.Options()
    writing.shipInterval = setting.shipInterval
    writing.dumpInterval = setting.dumpInterval
    writing.foldGrace = 20_000
    var options = Shipper.Options(
      data: FilePath(World.data), names: ServerNames(), compression: setting.compression,
      source: "redis", host: host, takesOver: false, isOnce: isOnce, writing: writing,
      readLimit: nil,
      pinnedMax: 1 << 20, shutdownTimeout: 25_000, writer: "simulation", keys: keys)
    options.retention = policy
    options.pruneInterval = 60_000
    options.takesOver = takesOver
    if setting.probes {
      (options.audit.probeInterval, options.audit.claimInterval) = (30_000, 30_000)
      options.audit.logInterval = 30_000
    }
    return options
  }

  func makeSidecar(
    isOnce: Bool = false, host: String = "host-a", takesOver: Bool = false
  ) -> Sidecar {
    let process = newProcess(isOnce ? "once" : "sidecar")
    let time = SimTime()
    let stop = StopRequest(time: time)
    var retries =
      isOnce
      ? RetryingStore.Policy(budget: .seconds(15), permanentTries: 1) : .sidecar
    if !isOnce { retries.givesUpAt = { stop.retriesEnd } }
    let store = RetryingStore(
      SimStore(bucket: bucket, process: process), policy: retries, report: { _ in })
    let options = options(isOnce: isOnce, host: host, takesOver: takesOver)
    let shipper = Shipper(
      options: options, store: store,
      status: ShipStatus(time: time), stop: stop,
      logger: World.logger, time: time,
      audited: SourceLook(FilePath(World.data), names: ServerNames(), time: time)
    ) { () throws(LifeboatError) in
      try Capture(FilePath(World.data), names: ServerNames(), time: time)
    }
    return Sidecar(process: process, shipper: shipper, startedAt: machine.milliseconds)
  }

  /// Runs `body` as `process`, until it ends or dies.
  func run(
    _ process: Process, _ body: @escaping @Sendable () async throws -> Void,
    failed: @escaping @Sendable (any Error) -> Void
  ) {
    process.task = Task.detached { [self] in
      await Process.$current.withValue(process) {
        do {
          let observer = Transitions.Observer { [self] in
            count($0)
            if $0 == Happening.mustNotHappen {
              failure = Violation(kind: "a writer met an event that no state expects", detail: "")
            }
          }
          try await Transitions.$observer.withValue(observer) { try await body() }
        } catch {
          if !process.isDead { failed(error) }
        }
      }
      Machine.shared.disk.end(process)
    }
  }

  func startSidecar(host: String = "host-a", takesOver: Bool = false) {
    if host != "host-a" { hasMoved = true }
    let sidecar = makeSidecar(host: host, takesOver: takesOver)
    sidecars.append(sidecar)
    let isMounted = disk.root(World.data) != nil
    machine.note("\(sidecar.process.name) starts on \(host)")
    run(sidecar.process) { [self] in
      _ = try await sidecar.shipper.run()
      sidecars.removeAll { $0.process === sidecar.process }
    } failed: { [self] in
      sidecars.removeAll { $0.process === sidecar.process }
      // `ship` exits only on a signal or a usage error, such as a missing directory.
      if ($0 as? LifeboatError)?.code == .failure, !isMounted {
        count(.startIsRefused)
      } else {
        failure = Violation(kind: "a sidecar ended by itself", detail: "\($0)")
      }
    }
  }
  var failure: Violation?

  func buryDead() { sidecars.removeAll { $0.process.isDead } }

  /// A restore of `objects` into a new directory, at once and without faults.
  func restore(
    _ objects: [String: SimBucket.Object], _ question: Question = .newest(),
    isAOFOn: Bool
  ) async throws -> Dataset? {
    restores += 1
    let path = "/sim/restored-\(restores)"
    let root = disk.makeVolume()
    disk.mount(root, at: path)
    defer { disk.mount(nil, at: path) }
    var plan = RestorePlan.Options()
    plan.usesLegacyForm = setting.isLegacy
    var options = Restorer.Options(data: FilePath(path), question: question, plan: plan)
    options.keys = keys
    let restorer = Restorer(
      options: options, store: still(objects), now: { SystemClock.now() }, note: { _ in },
      progress: { _, _ in })
    guard case .restored = try await restorer.run() else { return nil }
    return try SimRedis.load(root, isAOFOn: isAOFOn, isLegacy: setting.isLegacy)
  }

  /// A store that holds these objects and answers at once.
  func still(_ objects: [String: SimBucket.Object]) -> SimStore {
    let copy = SimBucket()
    copy.objects = objects
    copy.isInstant = true
    return SimStore(bucket: copy, process: nil)
  }
}
