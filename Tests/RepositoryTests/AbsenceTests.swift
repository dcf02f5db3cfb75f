import BackupFormat
import BackupTypes
import HistoryLogic
import Recovery
import RepositoryAccess
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// "There has never been a backup" is only said if it is proved (decisions 0007, 0051).
@Suite struct AbsenceTests {
  /// A store clock that a test sets.
  private final class Clock: Sendable {
    private let time = Mutex<Int64>(0)
    var now: Instant { time.withLock { at($0) } }
    func set(_ milliseconds: Int64) { time.withLock { $0 = milliseconds } }
  }
  private struct Ended {
    var outcome: Restorer.Outcome?
    var error: LifeboatError?
    var files: [String] = []
    var folder: TemporaryDirectory

    var result: String {
      switch outcome {
      case .restored?: "restored"
      case .planned?: "planned"
      case .dataPresent?: "data"
      case .noBackup?: "none"
      case .neverCompleted?: "never completed"
      case .finished?: "finished"
      case nil: "exit \(error?.code.rawValue ?? -1)"
      }
    }
  }

  private func restore(
    _ made: MadeRepository, ifBackupExists: Bool = true, id: Nonce? = nil,
    emptyBaseOf timeline: Int? = nil
  ) async throws -> Ended {
    let folder = try TemporaryDirectory("absence")
    let question = timeline.flatMap { TimelineNumber($0) }.map { Question.unfinished($0) }
    var options = Restorer.Options(
      data: FilePath(folder.path), question: question ?? .newest(), plan: .init())
    options.isIfBackupExists = ifBackupExists
    options.repositoryID = id
    let restorer = Restorer(
      options: options, store: made.store, now: { at(10_000_000) }, note: { _ in },
      progress: { _, _ in })
    var ended = Ended(folder: folder)
    do { ended.outcome = try await restorer.run() } catch let error as LifeboatError {
      ended.error = error
    }
    ended.files = TestFiles.tree(folder.path).filter { !$0.hasPrefix(".lifeboat") }.sorted()
    return ended
  }

  private let set = Array("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nv\r\n".utf8)

  /// An interrupted first upload: two log objects, this far apart in time, that wait for their BASE.
  private func cutOff(after milliseconds: Int64, isBaseEmpty: Bool? = nil) async throws
    -> MadeRepository
  {
    let clock = Clock()
    let made = try await MadeRepository(clock: { clock.now })
    try await made.addClaim(1, at: 0)
    try await made.addDetached(1, 1, isBaseEmpty: isBaseEmpty)
    try await made.addLog(1, 0, bytes: set, at: 10)
    clock.set(milliseconds)
    try await made.addLog(1, 27, bytes: set, at: 20)
    return made
  }

  @Test func `a first ship that was cut off within an hour lets a new pod start, and is told`()
    async throws
  {
    let made = try await cutOff(after: UnfinishedLog.spanMax - 1)
    let ended = try await restore(made)
    guard case .neverCompleted(let log, let command)? = ended.outcome else {
      Issue.record("\(ended.result): \(String(describing: ended.error))")
      return
    }
    #expect(log.bytes == 54 && log.times == at(0)...at(UnfinishedLog.spanMax - 1))
    #expect(command.contains("--timeline 1 --base empty"), "\(command)")
    #expect(ended.files.isEmpty)
    let asked = try await restore(made, ifBackupExists: false)
    #expect(asked.error?.code == .noBackup, "\(asked.result)")
    #expect(asked.error?.hint?.contains("--timeline 1 --base empty") == true)
  }

  @Test func `an hour of log, or a repository that is known to be there, is never passed over`()
    async throws
  {
    let long = try await cutOff(after: UnfinishedLog.spanMax)
    let short = try await cutOff(after: 5)
    for (made, id) in [(long, nil), (long, long.repository.id), (short, short.repository.id)]
      as [(MadeRepository, Nonce?)]
    {
      let ended = try await restore(made, id: id)
      #expect(ended.error?.code == .corrupt, "\(ended.result)")
      #expect(
        ended.error?.hint?.contains("--timeline 1 --base empty") == true,
        "\(String(describing: ended.error))")
    }
  }

  @Test func `--base empty lays the log down behind no BASE, and says when that is the state`()
    async throws
  {
    let made = try await cutOff(after: UnfinishedLog.spanMax)
    let ended = try await restore(made, emptyBaseOf: 1)
    guard case .restored(let plan, _)? = ended.outcome else {
      Issue.record("\(ended.result): \(String(describing: ended.error))")
      return
    }
    #expect(plan.warnings.contains { $0.contains("only if Redis had no keys") })
    #expect(
      ended.files.filter { $0.hasPrefix("appendonlydir/") } == [
        "appendonlydir/a.1.incr.aof", "appendonlydir/appendonly.aof.manifest",
      ], "\(ended.files)")
    let log = try TestFiles.read(ended.folder.path + "/appendonlydir/a.1.incr.aof")
    #expect(log == set + set)
    let manifest = try TestFiles.text(
      ended.folder.path + "/appendonlydir/appendonly.aof.manifest")
    #expect(manifest == "file a.1.incr.aof seq 1 type i\n")
  }

  @Test func `--base empty is not for a timeline that has restore points, or no log`() async throws
  {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addLogSnapshot(1, 1)
    try await made.addLog(1, 0, bytes: set, at: 10)
    try await made.addClaim(2, at: 20, parentSnapshots: 1)
    #expect(try await restore(made, emptyBaseOf: 1).error?.code == .usage)
    #expect(try await restore(made, emptyBaseOf: 2).error?.code == .noBackup)
    #expect(try await restore(made, emptyBaseOf: 3).error?.code == .noBackup)
  }

  /// Without a BASE, or with a BASE that is known to be empty, the log is a state by itself.
  @Test(arguments: [true, false])
  func `log that is a state by itself is a restore point`(isBaseKnown: Bool) async throws {
    let made: MadeRepository
    if isBaseKnown {
      made = try await cutOff(after: UnfinishedLog.spanMax, isBaseEmpty: true)
    } else {
      made = try await MadeRepository()
      try await made.addClaim(1, at: 0)
      try await made.addDetached(1, 1, awaits: nil)
      try await made.addLog(1, 0, bytes: set + set, at: 10)
    }
    let ended = try await restore(made)
    #expect(ended.result == "restored", "\(String(describing: ended.error))")
    let log = try TestFiles.read(ended.folder.path + "/appendonlydir/a.1.incr.aof")
    #expect(log == set + set)
    let listing = try await RepositoryListing.make(made.store, now: at(0))
    #expect(listing.newest != nil && listing.timelines[0].unfinished == nil)
  }

  /// A part of a single AOF is a state only after what the file began with. From there on, names have times.
  @Test(arguments: [10, nil] as [Int64?])
  func `a single AOF is a state where its log has a mark`(mark: Int64?) async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addDetached(1, 1, awaits: nil, form: .legacy)
    try await made.addLog(1, 0, bytes: set, at: mark)
    let ended = try await restore(made)
    #expect(ended.result == (mark == nil ? "never completed" : "restored"))
    #expect(ended.files.contains("a.1.incr.aof") == (mark != nil), "\(ended.files)")
  }

  @Test func `log that no snapshot names, or behind a hole, was lost with what it belongs to`()
    async throws
  {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addDetached(1, 1)
    try await made.addLog(1, ordinal: 2, 0, bytes: set, at: 10)
    #expect(try await restore(made).error?.code == .corrupt)
    let torn = try await MadeRepository()
    try await torn.addClaim(1, at: 0)
    try await torn.addDetached(1, 1)
    try await torn.addLog(1, 27, bytes: set, at: 10)
    #expect(try await restore(torn).error?.code == .corrupt)
  }

  @Test func `a claim with nothing behind it is still no backup`() async throws {
    let made = try await MadeRepository()
    #expect(try await restore(made).result == "none")
    try await made.addClaim(1, at: 0)
    try await made.addDetached(1, 1)
    #expect(try await restore(made).result == "none")
    #expect(try await restore(made, id: made.repository.id).result == "none")
    #expect(try await restore(made, ifBackupExists: false).error?.code == .noBackup)
  }

  @Test func `list shows log that waits for its BASE`() async throws {
    let made = try await cutOff(after: 1000)
    let listing = try await RepositoryListing.make(made.store, now: at(0))
    #expect(listing.newest == nil && listing.timelines[0].unfinished?.bytes == 54)
    #expect(listing.text.contains("restore --timeline 1 --base empty"), "\(listing.text)")
  }
}
