import BackupTypes
import Glibc
import SystemPackage
import Testing

@testable import SystemIO

@Suite(.timeLimit(.minutes(15))) struct ProcessTests {
  @Test func randomBytesAreAsManyAsAskedForAndDiffer() {
    for count in [0, 1, 16, 1000] { #expect(secureRandomBytes(count).count == count) }
    #expect(Set((0..<100).map { _ in secureRandomBytes(16) }).count == 100)
  }

  @Test func clocksAgreeWithTheKernel() {
    let (now, monotonic) = (SystemClock.now(), SystemClock.monotonicMilliseconds())
    #expect(abs(now.milliseconds / 1000 - Int64(time(nil))) <= 2)
    usleep(3000)
    let passed = SystemClock.monotonicMilliseconds() - monotonic
    #expect(passed >= 3)
    #expect(FileMoment(seconds: 5, nanoseconds: 999_999_999).instant.milliseconds == 5999)
    #expect(FileMoment(seconds: .max, nanoseconds: 1).instant.milliseconds == .max)
  }

  @Test func theHostHasAName() {
    #expect(!HostFacts.hostName().isEmpty)
    #expect((HostFacts.bootIdentifier()?.utf8.count ?? 36) == 36)
    #expect(HostFacts.effectiveUserIsRoot == (geteuid() == 0))
  }

  @Test func signalsAreCountedAndToldApart() async throws {
    let (stream, continuation) = AsyncStream<(SignalWaiter.Signal, Int)>.makeStream()
    let waiter = try SignalWaiter { signal, count in continuation.yield((signal, count)) }
    var iterator = stream.makeAsyncIterator()
    waiter.simulate(.terminate)
    let first = await iterator.next()
    #expect(first?.0 == .terminate && first?.1 == 1)
    waiter.simulate(.interrupt)
    let second = await iterator.next()
    #expect(second?.0 == .interrupt && second?.1 == 2)
  }

  @Test func everyThreadBecomesGentle() throws {
    // This stays set for the test process. The only effect is that other tests are gentle, too.
    ProcessTuning.tuneAllocator()
    ProcessTuning.disableCoreDumps()
    ProcessTuning.ignoreBrokenPipes()
    ProcessTuning.beGentle()
    for entry in try OpenDirectory("/proc/self/task").entries() {
      // A thread may have ended since it was listed.
      errno = 0
      let nice = getpriority(__priority_which_t(PRIO_PROCESS.rawValue), id_t(entry.name)!)
      #expect(nice >= 10 || errno == ESRCH)
    }
  }
}
