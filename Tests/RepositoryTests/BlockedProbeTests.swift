import Auditing
import BackupTypes
import Codec
import ObjectStorage
import RepositoryAccess
import Shipping
import Synchronization
import SystemIO
import TestSupport
import Testing
import WriterLogic

/// A blocked shipper retries every 15 seconds, and calls the store each time. The repository is still probed
/// only once an hour.
@Suite struct BlockedProbeTests {
  @Test func `the tries of a blocked shipper do not put the probe off`() async throws {
    let directory = try TemporaryDirectory("blocked")
    try TestFiles.write(
      Array("REDIS0011".utf8) + [0xfe, 0, 0xfb, 1, 0, 0, 1, 0x6b, 1, 0x76, 0xff]
        + [UInt8](repeating: 0, count: 8), to: directory("dump.rdb"))
    let memory = MemoryStore()
    _ = try await Repository.openOrCreate(
      memory, keys: .none, compression: .none, now: Instant(seconds: 1))
    // Claims fail, and everything else works.
    let store = FaultyStore(memory) { call in
      call.operation == .create
        ? .fail(LifeboatError(.storeUnavailable, "creating is denied", hint: "allow it")) : .pass
    }
    let time = SteppedTime()
    let shipper = Shipper.made(of: directory.path, to: store, time: time) {
      $0.audit.probeInterval = 3_600_000
    }
    let running = Task { try await shipper.run() }
    defer { running.cancel() }
    func tries() -> Int { store.calls.count { $0.operation == .create } }
    try await eventually(
      deadline: 120, "the repository is probed",
      condition: { shipper.auditor.repositoryLookedAt != nil },
      state: { "\(shipper.status.current), \(tries()) tries" })
    #expect(shipper.status.current.state == .blocked, "\(shipper.status.current)")
    #expect(time.monotonic >= 3_600_000 && tries() > 200, "\(tries()) tries")
  }
}

/// A clock that advances when both the shipper and its auditor are waiting.
private final class SteppedTime: TimeSource {
  private struct Waiter {
    var number: Int
    var deadline: Int64
    var continuation: CheckedContinuation<Void, Never>
  }
  private struct State {
    var milliseconds: Int64 = 0
    var waiters: [Waiter] = []
    var number = 0
    var isOver = false

    /// Removes and returns the waiters that are due.
    mutating func due() -> [Waiter] {
      guard waiters.count == SteppedTime.parties else { return [] }
      milliseconds = max(milliseconds, waiters.map(\.deadline).min()!)
      let due = waiters.filter { $0.deadline <= milliseconds }
      waiters.removeAll { $0.deadline <= milliseconds }
      return due
    }
  }
  private static let parties = 2
  private let state = Mutex(State())

  func now() -> Now {
    let passed = state.withLock { $0.milliseconds }
    return Now(wall: Instant(milliseconds: 1_800_000_000_000 + passed), monotonic: passed)
  }

  func sleep(milliseconds: Int64) async throws {
    await wait(milliseconds) { _ in false }
    try Task.checkCancellation()
  }

  func makeBell() -> any Bell { SteppedBell(time: self) }

  /// - Parameter begun: gets the number with which `wake` ends the wait. Returns whether the wait is already
  ///   over.
  func wait(_ milliseconds: Int64, begun: @Sendable (Int) -> Bool) async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let due = state.withLock { state -> [Waiter] in
          state.number += 1
          let waiter = Waiter(
            number: state.number, deadline: state.milliseconds + milliseconds,
            continuation: continuation)
          // It was cancelled, or was signalled before it waited.
          guard !state.isOver, !begun(state.number) else { return [waiter] }
          state.waiters.append(waiter)
          return state.due()
        }
        for waiter in due { waiter.continuation.resume() }
      }
    } onCancel: {
      let all = state.withLock { state in
        state.isOver = true
        defer { state.waiters = [] }
        return state.waiters
      }
      for waiter in all { waiter.continuation.resume() }
    }
  }

  func wake(_ number: Int) {
    let waiter = state.withLock { state -> Waiter? in
      guard let index = state.waiters.firstIndex(where: { $0.number == number }) else { return nil }
      return state.waiters.remove(at: index)
    }
    waiter?.continuation.resume()
  }
}

private final class SteppedBell: Bell {
  private let time: SteppedTime
  private let state = Mutex<(isSet: Bool, waiting: Int?)>((false, nil))

  init(time: SteppedTime) { self.time = time }

  func signal() {
    let waiting = state.withLock { state in
      if state.waiting == nil { state.isSet = true }
      defer { state.waiting = nil }
      return state.waiting
    }
    if let waiting { time.wake(waiting) }
  }

  func wait(milliseconds: Int64) async {
    await time.wait(milliseconds) { number in
      state.withLock { state in
        defer { state.isSet = false }
        guard !state.isSet else { return true }
        state.waiting = number
        return false
      }
    }
    state.withLock { $0.waiting = nil }
  }
}
