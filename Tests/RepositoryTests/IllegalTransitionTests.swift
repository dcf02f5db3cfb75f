import BackupTypes
import Codec
import Logging
import RepositoryAccess
import SystemIO
import SystemPackage
import TestSupport
import Testing
import WriterLogic

@testable import Shipping

/// What a release build does after a change of state that must not happen: it ends the timeline, is blocked
/// with the reason, and goes on.
@Suite struct IllegalTransitionTests {
  private func shipper(_ directory: TemporaryDirectory, isOnce: Bool) -> Shipper {
    let options = Shipper.Options(
      data: FilePath(directory.path), names: ServerNames(), compression: .none, source: "s",
      host: "h", takesOver: false, isOnce: isOnce, plan: .init(), readLimit: nil,
      pinnedMax: 1 << 30, shutdownTimeout: 1000, writer: "test")
    return Shipper(
      options: options, store: MemoryStore(), status: ShipStatus(time: SystemClock()),
      stop: StopRequest(time: SystemClock()),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  /// A timeline that closed twice.
  private func faulty(_ made: MadeRepository, _ view: CaptureView) async throws -> Writing {
    try await made.addClaim(1, at: 50)
    let claim = try await made.repository.claim(.first)
    return IllegalTransition.$traps.withValue(false) {
      var writing = Writing(
        claim: claim, comparison: Comparison(hasNews: true, hasPoint: false), view: view,
        options: .init())
      writing.close(isProved: false)
      writing.close(isProved: true)
      return writing
    }
  }

  @Test func `the session ends, and the shipper is blocked with the reason`() async throws {
    let directory = try TemporaryDirectory()
    let shipper = shipper(directory, isOnce: false)
    let made = try await MadeRepository()
    let source: any Source = try Capture(
      FilePath(directory.path), names: ServerNames(), time: SystemClock())
    let plan = try await faulty(made, try await source.look())
    #expect(plan.pace == .closing(isProved: false), "the state stays as it was")
    var session = ShipSession(
      shipper: shipper, repository: made.repository, source: source, claim: plan.claim,
      plan: plan, reusable: [:], unfinishedNonce: nil, quarantined: [])
    guard case .failed(let illegal as IllegalTransition) = try await session.run(nil, nil) else {
      Issue.record("the session did not end with the fault")
      return
    }
    #expect(illegal.reason == "a timeline closes twice")
    guard case .blocked = try shipper.block(illegal) else {
      Issue.record("it goes on as if nothing had happened")
      return
    }
    let status = shipper.status.shipping
    #expect(status.state == .blocked)
    #expect(status.reason?.contains("a timeline closes twice") ?? false)
  }

  @Test func `a single snapshot fails with it`() async throws {
    let directory = try TemporaryDirectory()
    let illegal = try #require(
      try await faulty(try await MadeRepository(), CaptureView(at: at(0), dump: nil, aof: .absent))
        .fault)
    #expect(throws: LifeboatError.self) { try shipper(directory, isOnce: true).block(illegal) }
  }
}
