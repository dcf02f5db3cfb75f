import SystemPackage
import TestSupport
import Testing

/// An hour in the pod, or two minutes: load, rewrites, kills, outages, rotated keys. After each of these, the
/// lag returns to 0 and a restore gives what was acknowledged. A shipper that runs through all of them uses
/// no more memory and descriptors at the end than at the beginning.
///
/// Two pods ship to one store. In one of them the shipper never stops, and its memory and descriptors are
/// compared. The other one loses its shipper, its server and its volume. `scripts/soak` runs this for an
/// hour.
@Suite(
  .serialized, .timed, .enabled(if: !ServerVersion.isQuickRun),
  .timeLimit(.minutes(Soak.seconds(120) / 60 * 2 + 20)))
struct SoakTests {
  /// The largest increase from the first quarter of the run to the last, measured in the calm. Anonymous
  /// memory goes up and down by 2 MiB. A leak of 4 KiB per written object is 2.5 MiB in three minutes, so a
  /// run has to take ten minutes to detect it with certainty. Resident memory also includes pages of the
  /// program that were not needed before. Descriptors: eight connections.
  private static let anonymousMax = 3 << 20
  private static let residentMax = 12 << 20
  private static let descriptorsMax = 8

  @Test func `load, rewrites, kills, outages, rotations: flat, and nothing is lost`() async throws {
    let seed = Soak.seed
    say("seed \(seed), \(Soak.seconds(120)) s, store \(Soak.storeKind)")
    var run = try await SoakRun(seed: seed)
    let watch = Task { [gauges = run.pods.map(\.gauge)] in await SoakGauge.watch(gauges) }
    defer { watch.cancel() }
    do {
      try await run.go(for: .seconds(Soak.seconds(120)), say: say)
      let (first, last) = run.quarters
      say(
        """
        \(run.count) disturbances, steps \(run.steps); the steady shipper at first \(first), at \
        last \(last), peak \(run.peakBytes.mebibytes) MiB; lag 0 after each disturbance, \
        \(run.slowest.formatted) later at most; both restores equal the model
        """)
      #expect(
        last.anonymousBytes <= first.anonymousBytes + SoakTests.anonymousMax,
        "anonymous memory grew: \(run.history)")
      #expect(
        last.bytes <= first.bytes + SoakTests.residentMax, "memory grew: \(run.history)")
      #expect(
        last.descriptors <= first.descriptors + SoakTests.descriptorsMax,
        "descriptors grew: \(run.history)")
    } catch {
      Issue.record("seed \(seed), after \(run.count) disturbances: \(error)\n\(run.report)")
    }
  }

  private func say(_ line: String) {
    _ = try? FileDescriptor.standardOutput.writeAll("soak: \(line)\n".utf8)
  }
}

/// Runs disturbances in an order that depends on a seed: a shuffled deck of all of them, again and again, so
/// that a short run leaves none out.
struct SoakRun {
  /// The resources of the steady shipper in the calm after a disturbance.
  struct Calm: CustomStringConvertible {
    var bytes: Int
    var anonymousBytes: Int
    var descriptors: Int

    var description: String {
      "\(bytes.mebibytes) MiB resident (\(anonymousBytes.mebibytes) anonymous), "
        + "\(descriptors) descriptors"
    }
  }

  private let store: any SoakStore
  private let steady: SoakPod
  private let killed: SoakPod
  private var random: SeededRandom
  private var deck: [Disturbance] = []
  private(set) var history: [Calm] = []
  private(set) var slowest = Duration.zero
  private(set) var peakBytes = 0

  init(seed: UInt64) async throws {
    random = SeededRandom(seed: seed)
    switch Soak.storeKind {
    case "s3": store = try await S3SoakStore()
    case "directory": store = try DirectorySoakStore()
    case let other: throw HarnessError("LIFEBOAT_SOAK_STORE is \(other): it is s3 or directory")
    }
    var versions = ServerVersion.multiPart.shuffled(using: &random)
    func test(_ fsync: String) -> CrashTests.Case {
      CrashTests.Case(version: versions.removeLast(), appendOnly: true, fsync: fsync)
    }
    steady = try await SoakPod("steady", test("everysec"), in: store, isAsked: true, seed: seed)
    killed = try await SoakPod("killed", test("always"), in: store, isAsked: false, seed: seed + 1)
  }

  var pods: [SoakPod] { [steady, killed] }
  var count: Int { history.count }
  var steps: String { pods.map { "\($0.load.acknowledged)" }.joined(separator: " and ") }
  var report: String { pods.map(\.report).joined(separator: "\n") }

  /// The maximum of each in the first quarter and in the last.
  var quarters: (first: Calm, last: Calm) {
    let quarter = max(1, history.count / 4)
    func most(_ part: ArraySlice<Calm>) -> Calm {
      Calm(
        bytes: part.map(\.bytes).max() ?? 0,
        anonymousBytes: part.map(\.anonymousBytes).max() ?? 0,
        descriptors: part.map(\.descriptors).max() ?? 0)
    }
    return (most(history.prefix(quarter)), most(history.suffix(quarter)))
  }

  /// Runs until the time is over and every disturbance has happened.
  mutating func go(for time: Duration, say: (String) -> Void) async throws {
    let clock = ContinuousClock()
    let start = clock.now
    let all = Disturbance.ofPods + store.disturbances
    while clock.now - start < time || count < all.count {
      if deck.isEmpty { deck = all.shuffled(using: &random) }
      let disturbance = deck.removeLast()
      for pod in pods {
        try await pod.advance(by: Int.random(in: 20...200, using: &random))
        _ = pod.gauge.takeLagMax()
      }
      let detail = try await disturb(disturbance)
      for pod in pods { try await pod.advance(by: 20) }
      let lag = steady.gauge.takeLagMax()
      let settled = try await settle()
      say(
        """
        \(count) at \((clock.now - start).components.seconds) s: \(disturbance)\(detail); \
        lag up to \(lag) s, 0 after \(settled.formatted); steps \(steps), \
        \(history.last!)
        """)
    }
    try await eventually(
      deadline: 120, "what the steady shipper held is let go",
      condition: { try steady.holdings().deletedFiles.isEmpty },
      state: { "\((try? steady.holdings()).map { "\($0)" } ?? "") \(steady.report)" })
    peakBytes = steady.ship.process.residentPeakBytes ?? 0
    for pod in pods { try await pod.finish() }
  }

  /// Pauses the load, waits until the lag is 0, checks that the repository matches the model, and continues
  /// the load.
  private mutating func settle() async throws -> Duration {
    var longest = Duration.zero
    for pod in pods { longest = max(longest, try await pod.settle()) }
    slowest = max(slowest, longest)
    let holdings = try steady.holdings()
    history.append(
      Calm(
        bytes: holdings.bytes, anonymousBytes: holdings.anonymousBytes,
        descriptors: holdings.descriptors))
    for pod in pods {
      try await pod.verify()
      try pod.goOn()
    }
    return longest
  }

  private mutating func disturb(_ disturbance: Disturbance) async throws -> String {
    switch disturbance {
    case .rewrite:
      for pod in pods { try await pod.rewrite() }
    case .serverKilled:
      for pod in pods {
        try await pod.killServer()
        try await pod.startServer()
      }
    case .shipperKilled:
      killed.killShipper()
      try await killed.advance(by: Int.random(in: 1...100, using: &random))
      try killed.startShipper()
    case .bothKilled:
      killed.killShipper()
      try await killed.killServer()
      try killed.startShipper()
      try await killed.startServer()
    case .shipperEnded:
      try await killed.endShipper()
      try killed.startShipper()
    case .volumeLost:
      try await killed.loseVolume()
    case .rotation:
      try store.rotate()
    case .outage(let outage):
      return try await endure(outage)
    }
    return ""
  }

  /// Causes an outage until the steady pod lags by some seconds, with another disturbance in the middle.
  private mutating func endure(_ outage: Disturbance.Outage) async throws -> String {
    let lag = Double.random(in: 3...9, using: &random)
    let others: [Disturbance?] = [.rewrite, .serverKilled, .shipperKilled, nil]
    let other = others.randomElement(using: &random)!
    try await store.begin(outage)
    try await eventually(
      deadline: 120, "the lag grows while the store is away",
      condition: { (steady.gauge.last?.logLag ?? 0) > lag }, state: { steady.report })
    if let other { _ = try await disturb(other) }
    try await store.end(outage)
    return other.map { ", and \($0)" } ?? ""
  }
}

extension Int {
  /// Bytes as MiB with one digit.
  fileprivate var mebibytes: String {
    let tenths = (self * 10) >> 20
    return "\(tenths / 10).\(tenths % 10)"
  }
}

extension Duration {
  /// Seconds with one digit.
  fileprivate var formatted: String {
    let (seconds, atto) = components
    return "\(seconds).\(atto / 100_000_000_000_000_000) s"
  }
}
