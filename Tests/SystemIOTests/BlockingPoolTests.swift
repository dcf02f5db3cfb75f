import BackupTypes
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import SystemIO

@Suite(.timeLimit(.minutes(15))) struct BlockingPoolTests {
  @concurrent private func threadName() async -> String {
    let name = try? OpenFile(reading: "/proc/thread-self/comm").readAll(limit: 32)
    return String(decoding: name?.dropLast() ?? [], as: UTF8.self)
  }

  @Test func jobsRunOnTheNamedThreads() async throws {
    let pool = try BlockingPool(name: "a-long-name-of-a-pool", threads: 1)
    let names = await withTaskExecutorPreference(pool) {
      await withTaskGroup(of: String.self) { group in
        for _ in 0..<20 { group.addTask { await threadName() } }
        return await group.reduce(into: Set<String>()) { $0.insert($1) }
      }
    }
    #expect(names == ["a-long-name-of-"])
  }

  @concurrent private func schedulingClass() async -> Int32 { sched_getscheduler(0) }

  @Test func `threads run in the idle class if asked to, and others do not`() async throws {
    let idle = try BlockingPool(name: "idle", threads: 1, isIdle: true)
    let plain = try BlockingPool(name: "plain", threads: 1)
    #expect(await withTaskExecutorPreference(idle) { await schedulingClass() } == 5)  // SCHED_IDLE
    #expect(await withTaskExecutorPreference(plain) { await schedulingClass() } == SCHED_OTHER)
  }

  @Test func asManyRunAtOnceAsThereAreThreads() async throws {
    let pool = try BlockingPool(name: "pool", threads: 3)
    let running = Running()
    await withTaskExecutorPreference(pool) {
      await withTaskGroup(of: Void.self) { group in
        for _ in 0..<30 {
          group.addTask {
            running.begin()
            usleep(2000)
            running.end()
          }
        }
      }
    }
    #expect(running.most == 3)
  }

  private final class Running: Sendable {
    private let state = Mutex((now: 0, most: 0))
    func begin() {
      state.withLock { state in
        state.now += 1
        state.most = max(state.most, state.now)
      }
    }
    func end() { state.withLock { $0.now -= 1 } }
    var most: Int { state.withLock { $0.most } }
  }

  @Test func everyJobRunsOnce() async throws {
    let pool = try BlockingPool(name: "pool", threads: 2)
    let sum = await withTaskExecutorPreference(pool) {
      await withTaskGroup(of: Int.self) { group in
        for number in 0..<5000 {
          group.addTask {
            await Task.yield()
            return number
          }
        }
        return await group.reduce(0, +)
      }
    }
    #expect(sum == 5000 * 4999 / 2)
  }

  @Test func threadsEndWithThePool() async throws {
    for _ in 0..<100 {
      let pool = try BlockingPool(name: "short", threads: 4)
      await withTaskExecutorPreference(pool) { await Task.yield() }
    }
    func living() throws -> Int {
      try OpenDirectory("/proc/self/task").entries().filter { entry in
        let name = try? OpenFile(
          reading: FilePath("/proc/self/task/\(entry.name)/comm")
        ).readAll(limit: 32)
        return name?.starts(with: Array("short-".utf8)) ?? false
      }.count
    }
    // The threads take a moment to exit, and there is no event for this. Poll until the time limit.
    while try living() > 0 { usleep(1000) }
  }
}
