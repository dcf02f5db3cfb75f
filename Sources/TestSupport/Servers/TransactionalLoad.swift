import Glibc
import Synchronization

/// A load with which a test can prove, for every step, that it is complete or absent after a restore.
///
/// Step n is one transaction over two databases: `INCR <prefix>a` and a payload as the string `<prefix>p:n`
/// and as a field of the hash `<prefix>h:(n mod 100)` in database 0, `INCR <prefix>b` in database 1. So the
/// two counters of a restored server are equal and give the last step. Everything else follows from the seed.
/// The load runs on a thread of its own, one transaction after the other, until it or the server is stopped.
///
/// With `keeps`, a step also deletes what the step that many before it wrote, so the dataset keeps its size
/// even after hours.
package final class TransactionalLoad: Sendable {
  package struct Options: Sendable {
    package var seed: UInt64 = 1
    package var prefix = "load:"
    /// The size of a payload in bytes.
    package var payload = 0...600
    /// The pause between two steps.
    package var pause = Duration.zero
    /// The number of steps between two BGREWRITEAOF, drawn again each time; nil for none.
    package var rewriteEvery: ClosedRange<Int>?
    /// The number of steps between two BGSAVE.
    package var saveEvery: ClosedRange<Int>?
    /// How many steps the dataset keeps; nil for all. At least as many as there are hashes, so that no hash
    /// is ever empty.
    package var keeps: Int?
    /// The last step that the server already has, to continue the load of an earlier run.
    package var after = 0
    /// The last step to make.
    package var last = Int.max

    package init() {}
  }

  /// Why the load ended.
  package enum Ending: Hashable, Sendable {
    /// `stop()` was called, or the last step was made.
    case stopped
    /// The server has stopped, for example because it was killed.
    case disconnected(String)
    /// The server gave a wrong reply.
    case wrong(String)
  }

  package let options: Options
  private let state: Mutex<State>

  private struct State {
    var issued: Int
    var acknowledged: Int
    var refusals = 0
    var lastRefusal: String?
    var stopping = false
    var ending: Ending?
  }

  private init(_ options: Options) {
    self.options = options
    state = Mutex(State(issued: options.after, acknowledged: options.after))
  }

  package static func start(
    on server: RedisServer, _ options: Options = Options()
  ) throws -> TransactionalLoad {
    let load = TransactionalLoad(options)
    let client = try server.connect()
    startThread { load.run(client) }
    return load
  }

  /// The highest step that was sent. A restored server may have this step, but none above it.
  package var issued: Int { state.withLock { $0.issued } }
  /// The highest step whose EXEC was answered. Only with `appendfsync always` is it in the file by then.
  /// Otherwise a busy server may write up to two seconds late, and a SIGKILL loses that.
  package var acknowledged: Int { state.withLock { $0.acknowledged } }
  /// Transactions that the server refused as a whole (disk full, loading) and that were sent again.
  package var refusals: Int { state.withLock { $0.refusals } }
  /// The server's error at the last refusal.
  package var lastRefusal: String? { state.withLock { $0.lastRefusal } }
  /// nil while it is running.
  package var ending: Ending? { state.withLock { $0.ending } }

  /// Finishes the current step and waits for the end. Throws if the server gave a wrong reply.
  @discardableResult
  package func stop() async throws -> Ending {
    state.withLock { $0.stopping = true }
    return try await waitForEnd()
  }

  /// Waits until it ends by itself.
  @discardableResult
  package func waitForEnd(deadline: Double = 90) async throws -> Ending {
    try await eventually(
      deadline: deadline, "end of the load", condition: { self.ending != nil },
      state: { "acknowledged \(acknowledged)" })
    let ending = self.ending!
    if case .wrong(let words) = ending { throw HarnessError("load: " + words) }
    return ending
  }

  /// Waits until step `step` is acknowledged. Throws if the load ends before that.
  package func reach(_ step: Int, deadline: Double = 90) async throws {
    try await eventually(
      deadline: deadline, "step \(step)",
      condition: {
        if acknowledged >= step { return true }
        if let ending { throw HarnessError("load ended (\(ending)) before step \(step)") }
        return false
      }, state: { "acknowledged \(acknowledged), refused \(refusals): \(lastRefusal ?? "")" })
  }

  private func run(_ client: RESPClient) {
    var ending = Ending.stopped
    do {
      try steps(client)
    } catch let error as RESPError {
      ending = .disconnected(error.description)
    } catch {
      ending = .wrong("\(error)")
    }
    state.withLock { $0.ending = ending }
  }

  private func steps(_ client: RESPClient) throws {
    let payload = LoadPayload(seed: options.seed, sizes: options.payload)
    var random = SeededRandom(seed: options.seed &+ 1)
    var rewrite = options.rewriteEvery.map { Int.random(in: $0, using: &random) }
    var save = options.saveEvery.map { Int.random(in: $0, using: &random) }
    var step = options.after
    while step < options.last, !state.withLock({ $0.stopping }) {
      step += 1
      state.withLock { $0.issued = step }
      while try !transaction(client, step, payload.bytes(step)) {
        if state.withLock({ $0.stopping }) { return }
        sleep(.milliseconds(20))
      }
      state.withLock { $0.acknowledged = step }
      // The server replies "already in progress" or, with AOF off, an error. Both are fine here.
      if let countdown = rewrite {
        rewrite = try due(countdown, options.rewriteEvery!, ["BGREWRITEAOF"], client, &random)
      }
      if let countdown = save {
        save = try due(countdown, options.saveEvery!, ["BGSAVE"], client, &random)
      }
      if options.pause > .zero { sleep(options.pause) }
    }
  }

  private func due(
    _ countdown: Int, _ every: ClosedRange<Int>, _ command: [any RESPArgument],
    _ client: RESPClient, _ random: inout SeededRandom
  ) throws -> Int {
    if countdown > 1 { return countdown - 1 }
    _ = try client.pipeline([command])
    return Int.random(in: every, using: &random)
  }

  /// Whether the step was made; false if all of it was refused.
  private func transaction(
    _ client: RESPClient, _ step: Int, _ payload: [UInt8]
  ) throws -> Bool {
    let prefix = options.prefix
    var commands: [[any RESPArgument]] = [
      ["MULTI"],
      ["SELECT", 0], ["INCR", prefix + "a"], ["SET", prefix + "p:\(step)", payload],
      ["HSET", prefix + "h:\(step % 100)", "f\(step)", payload],
    ]
    if let keeps = options.keeps, step > keeps {
      let old = step - keeps
      commands += [["DEL", prefix + "p:\(old)"], ["HDEL", prefix + "h:\(old % 100)", "f\(old)"]]
    }
    commands += [["SELECT", 1], ["INCR", prefix + "b"], ["SELECT", 0], ["EXEC"]]
    let replies = try client.pipeline(commands)
    let execution = replies[commands.count - 1]
    if case .error(let words) = execution {
      // After a refused MULTI, each command ran or was refused separately, so the result is not known. This
      // does not happen: MULTI is only refused while loading, and then everything is refused.
      state.withLock {
        $0.refusals += 1
        $0.lastRefusal = replies.compactMap(\.errorText).first ?? words
      }
      return false
    }
    // Without MULTI and EXEC. The second INCR is the last but one.
    let count = commands.count - 2
    guard let results = execution.array, results.count == count, results[1] == .integer(step),
      results[count - 2] == .integer(step)
    else { throw HarnessError("step \(step) was answered with \(execution)") }
    return true
  }

  private func sleep(_ duration: Duration) {
    let (seconds, atto) = duration.components
    usleep(UInt32(seconds * 1_000_000 + atto / 1_000_000_000_000))
  }
}

extension RESPValue {
  package var errorText: String? {
    if case .error(let text) = self { return text }
    return nil
  }
}
