import BackupFormat
import BackupTypes
import Codec
import RepositoryAccess
import SystemIO
import SystemPackage
import TestSupport
import Testing
import WriterLogic

@testable import Shipping

/// What a release build does after an illegal state transition: it ends the timeline, is blocked with the
/// reason, and keeps running.
@Suite struct IllegalTransitionTests {
  private func shipper(_ directory: TemporaryDirectory, isOnce: Bool) -> Shipper {
    .made(of: directory.path, to: MemoryStore()) { $0.isOnce = isOnce }
  }

  /// A plan in which a timeline was closed twice.
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

  /// A writer that ships under `claim`.
  private func writer(_ made: MadeRepository, _ claim: Claim) async throws -> Writer {
    var writer = Writer(
      ownership: Ownership(
        source: SourceName(given: "s"), instance: "i", directory: "d", takesOver: true))
    let file = PinnedFile(
      pin: PinID(1), name: "dump.rdb", size: 1, modified: FileMoment(seconds: 1, nanoseconds: 0),
      born: nil, identity: FileIdentity(inode: 1, bornSeconds: 1, bornNanoseconds: 0))
    let view = CaptureView(at: at(0), dump: file, aof: .absent)
    writer.handle(.saw(view), now: 0)
    let compared = Comparison(hasNews: true, hasPoint: false)
    writer.handle(.compared(view, compared, try await made.repository.history()), now: 0)
    writer.handle(.claimed(claim), now: 0)
    return writer
  }

  @Test func `the session ends, and the shipper is blocked with the reason`() async throws {
    let directory = try TemporaryDirectory()
    let shipper = shipper(directory, isOnce: false)
    let made = try await MadeRepository()
    let source: any Source = try Capture(
      FilePath(directory.path), names: ServerNames(), time: SystemClock())
    let view = try await source.look()
    let writing = try await faulty(made, view)
    #expect(writing.pace == .closing(isProved: false), "the state stays as it was")
    var session = ShipSession(
      shipper: shipper, repository: made.repository, source: source, claim: writing.claim,
      writing: writing, reusable: [:], unfinished: [], quarantined: [])
    let ending = try await session.run(nil, nil)
    guard case .failed(let illegal as IllegalTransition) = ending else {
      Issue.record("the session did not end with the fault")
      return
    }
    #expect(illegal.reason == "a timeline closes twice")
    var writer = try await writer(made, writing.claim)
    writer.handle(.ended(ending, isAsked: false), now: 0)
    try shipper.tell(ending)
    try shipper.report(writer)
    let status = shipper.status.shipping
    #expect(status.state == .blocked)
    #expect(status.reason?.contains("a timeline closes twice") ?? false)
  }

  @Test func `a single snapshot fails with it`() async throws {
    let directory = try TemporaryDirectory()
    let made = try await MadeRepository()
    let writing = try await faulty(made, CaptureView(at: at(0), dump: nil, aof: .absent))
    let ending = Ending.failed(try #require(writing.fault))
    let shipper = shipper(directory, isOnce: true)
    try shipper.tell(ending)
    var writer = try await writer(made, writing.claim)
    writer.handle(.ended(ending, isAsked: false), now: 0)
    #expect(throws: LifeboatError.self) { try shipper.report(writer) }
  }
}
