import BackupFormat
import BackupTypes
import Testing
import WriterLogic

/// When a requested stop is complete, and the legal transitions.
@Suite struct StopTests {
  private static func view(size: UInt64) -> CaptureView {
    CaptureView(
      at: at(0),
      dump: PinnedFile(
        pin: PinID(1), name: "dump.rdb", size: size,
        modified: FileMoment(seconds: 1, nanoseconds: 0), born: nil,
        identity: CompareScene.identity(1)), aof: .absent)
  }

  @Test func `it is quiet when neither a look nor a save has shown a change for two seconds`() {
    var stop = Stop(now: 1000, deadline: 60_000, view: nil)
    stop.saw(Self.view(size: 1), now: 1500)
    #expect(!stop.isQuiet(2999) && stop.isQuiet(3000), "a first look changes nothing")
    stop.saw(Self.view(size: 1), now: 2900)
    #expect(stop.isQuiet(3000))
    stop.saw(Self.view(size: 2), now: 3500)
    #expect(!stop.isQuiet(5499) && stop.isQuiet(5500))
    stop.saw(saves: "temp-1.rdb:7;", now: 5600)
    stop.saw(saves: "temp-1.rdb:7;", now: 7000)
    #expect(!stop.isQuiet(7599) && stop.isQuiet(7600))
    stop.saw(saves: "", now: 8000)
    #expect(!stop.isQuiet(9999))
  }

  @Test func `a change since the look before the request counts`() {
    var stop = Stop(now: 1000, deadline: 60_000, view: Self.view(size: 1))
    stop.saw(Self.view(size: 2), now: 2500)
    #expect(!stop.isQuiet(4499) && stop.isQuiet(4500))
  }

  @Test func `a timeline that ends by itself gets one more chance, not one after the other`() {
    var stop = Stop(now: 0, deadline: 60_000, view: nil)
    stop.beginAgain(now: 5000)
    #expect(!stop.isQuiet(6999) && stop.isQuiet(7000))
    stop.beginAgain(now: 6500)
    #expect(stop.isQuiet(7000))
  }

  @Test func `three seconds before the deadline only the closing snapshot is left`() {
    let stop = Stop(now: 0, deadline: 10_000, view: nil)
    #expect(!stop.isLate(6999) && stop.isLate(7000) && !stop.isOver(9999) && stop.isOver(10_000))
  }

  private static func plan() -> Writing {
    Writing(
      claim: claim(1), comparison: Comparison(hasNews: true, hasPoint: false),
      view: view(size: 1), options: .init())
  }

  @Test func `a plan slows down after a sync, and never after it began to close`() {
    var plan = Self.plan()
    plan.flush()
    plan.flush()
    #expect(plan.pace == .flushing)
    plan.slowDown()
    #expect(plan.pace == .steady)
    plan.close(isProved: false)
    plan.flush()
    #expect(plan.pace == .closing(isProved: false) && plan.fault == nil)
  }

  #if DEBUG
    @Test func `an illegal change of state traps in a debug build`() async {
      await #expect(processExitsWith: .failure) {
        var plan = StopTests.plan()
        plan.close(isProved: true)
        plan.slowDown()
      }
      await #expect(processExitsWith: .failure) {
        var plan = StopTests.plan()
        plan.close(isProved: true)
        plan.close(isProved: false)
      }
      await #expect(processExitsWith: .failure) {
        var plan = StopTests.plan()
        plan.recordDurable(span: nil, now: at(0))
      }
    }
  #endif
}
