import BackupTypes
import ObjectStorage

/// A store in memory as one process sees it: a bucket that others share, behind a network.
///
/// Behaves as a real store may: a call that fails may have had its effect, and a call may take long. Creation
/// is exclusive, and a created object is listed at once, as the contract of `ObjectStore` says.
final class SimBucket {
  struct Object {
    var bytes: [UInt8]
    var modified: Int64
    /// In the order of their creation.
    var number: Int
  }
  private(set) var created = 0
  func create(_ name: String, _ bytes: [UInt8], at time: Int64, by process: Process?) {
    created += 1
    if name.hasSuffix("/claim") { lastClaim = (process, Machine.shared.milliseconds) }
    objects[name] = Object(bytes: bytes, modified: time, number: created)
  }
  var objects: [String: Object] = [:] { didSet { sorted = nil } }
  private var sorted: [String]?
  /// Chances in a thousand for each call.
  var lostReply = 0
  var failure = 0
  var slow = 0
  /// No call gets through before this time, in milliseconds; nil: all do.
  var awayUntil: Int64?
  var isDenied = false
  /// Called after each effect.
  var onCall: () -> Void = {}
  /// Calls take no time.
  var isInstant = false
  /// Answered calls, by kind.
  var calls: [String: Int] = [:]
  /// How often each fault happened.
  var faults: [String: Int] = [:]
  func count(_ fault: Happening) { faults[fault.rawValue, default: 0] += 1 }
  /// Who made the newest claim, and when, in milliseconds.
  private(set) var lastClaim: (process: Process?, at: Int64)?

  /// When it last refused a call because it was unavailable or denied access, in milliseconds.
  fileprivate(set) var lastRefusal: Int64 = 0

  func names() -> [String] {
    if let sorted { return sorted }
    let made = objects.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    sorted = made
    return made
  }

  /// Removes the objects that were created last, but none from before the newest claim. Returns whether there
  /// were any.
  func forgetTail(_ count: Int) -> Bool {
    let newest = objects.sorted { ($0.value.number, $0.key) > ($1.value.number, $1.key) }
    let lost = newest.prefix(count).prefix {
      !$0.key.hasSuffix("/claim") && $0.key != "lifeboat.json"
    }
    for (name, _) in lost { objects[name] = nil }
    return !lost.isEmpty
  }
}

/// `@unchecked Sendable`: everything in a simulation runs on one thread.
struct SimStore: ObjectStore, @unchecked Sendable {
  let bucket: SimBucket
  let process: Process?
  var location: String { "sim://bucket" }

  private var machine: Machine { Machine.shared }

  private func error(_ text: String, isRetryable: Bool = true) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, "can't reach the store", cause: text, isRetryable: isRetryable)
  }

  private func happens(_ perThousand: Int, _ fault: Happening) -> Bool {
    guard perThousand > 0, Int.random(in: 0..<1000, using: &machine.random) < perThousand else {
      return false
    }
    bucket.count(fault)
    return true
  }

  /// One call: a delay, the effect at one instant, and another delay.
  private func call<Value: Sendable>(
    _ kind: String, _ name: String, _ effect: () throws -> Value
  ) async throws -> Value {
    try await pass()
    let death = process?.effect()
    if let death { bucket.count(death.happening) }
    if death == .before { process?.die() }
    if process?.isDead ?? false { throw CancellationError() }
    if let until = bucket.awayUntil {
      if machine.milliseconds < until {
        bucket.count(.storeIsAway)
        bucket.lastRefusal = machine.milliseconds
        throw error("no route to host")
      }
      bucket.awayUntil = nil
    }
    if bucket.isDenied {
      bucket.count(.storeDenies)
      bucket.lastRefusal = machine.milliseconds
      throw error("denied", isRetryable: false)
    }
    if happens(bucket.failure, .callFails) { throw error("connection refused") }
    bucket.calls[kind, default: 0] += 1
    machine.note("\(kind) \(name)")
    let value = try effect()
    bucket.onCall()
    if death == .withoutReply {
      process?.die()
      throw CancellationError()
    }
    if happens(bucket.lostReply, .replyIsLost) { throw error("connection reset") }
    try await pass()
    if death == .after { process?.die() }
    if process?.isDead ?? false { throw CancellationError() }
    return value
  }

  private func pass() async throws {
    if bucket.isInstant { return }
    let time =
      happens(bucket.slow, .callIsSlow)
      ? Int64.random(in: 500...8000, using: &machine.random)
      : Int64.random(in: 1...15, using: &machine.random)
    try await Task.sleep(for: .milliseconds(time))
  }

  func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    _ = try ObjectName.components(name)
    return try await call("create", "\(name) \(bytes.count)") {
      guard bucket.objects[name] == nil else { return .exists }
      bucket.create(name, bytes, at: machine.wallMilliseconds, by: process)
      return .created
    }
  }

  func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    _ = try ObjectName.components(name)
    return try await call("read", name) {
      try bucket.objects[name].map { try checked($0.bytes, limit: limit, of: name) }
    }
  }

  func list(prefix: String, continuing: String?) async throws -> ListPage {
    try await call("list", prefix) {
      var entries: [ObjectEntry] = []
      for name in bucket.names() where name.hasPrefix(prefix) && name > continuing ?? "" {
        if entries.count == ListPage.entriesMax {
          return ListPage(entries: entries, next: entries.last?.name)
        }
        let object = bucket.objects[name]!
        entries.append(
          ObjectEntry(
            name: name, size: object.bytes.count,
            modified: Instant(milliseconds: object.modified)))
      }
      return ListPage(entries: entries, next: nil)
    }
  }

  func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    try await call("delete", names.joined(separator: " ")) {
      for name in names { bucket.objects[name] = nil }
      return [:]
    }
  }

  func now() async throws -> Instant? {
    try await call("now", "") { Instant(milliseconds: machine.wallMilliseconds) }
  }

  func prepare() async throws {}
}

extension Process.Death {
  fileprivate var happening: Happening {
    switch self {
    case .before: .diesBefore
    case .after: .diesAfter
    case .withoutReply: .diesWithoutReply
    }
  }
}
