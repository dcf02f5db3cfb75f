import BackupTypes
import HistoryLogic
import Recovery
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// A restore that a pod's manifest requests. The request stays in the manifest.
@Suite struct StandingRequestTests {
  private typealias Ask = @Sendable (inout Restorer.Options) -> Void

  /// The options of an init container that requests the earlier state.
  private func asking(_ id: String) -> Ask {
    let request = try? StandingRequest(parsing: "\(id) point=1.2@1:27") { $0 }
    return {
      RestoreScene.ifEmpty(&$0)
      $0.request = request
    }
  }

  /// The data that was moved aside, in one directory for each request.
  private func asides(_ data: String) throws -> [Files] {
    try TestFiles.list(data).filter { $0.hasPrefix(".lifeboat-replaced") }.map {
      try visible(data, in: $0)
    }
  }

  private func recorded(_ store: MemoryStore) -> Int {
    store.names.filter { $0.hasPrefix("ops/requests/") }.count
  }

  @Test(arguments: [
    ("a at=2026-11-22T14:02:00Z", Question.at(Instant(milliseconds: 1_795_356_120_000))),
    ("  t-1.b_c   point=1.7@1:48213 ", .point("1.7@1:48213")),
    ("x before=FUNCTION FLUSH", .before("FUNCTION FLUSH")), ("x newest", .newest(.newest)),
  ])
  func `one value is an id and a state`(text: String, question: Question) throws {
    let request = try #require(try StandingRequest(parsing: text) { $0 })
    #expect(request.question == question)
    #expect(request.id == text.split(separator: " ")[0])
  }

  @Test(arguments: [
    "a", "a at=-15m", "a at=yesterday", "a at=2026-11-22T14:02:00", "a point=x", "a before=",
    "a newest=1", "a b", "at=2026-11-22T14:02:00Z", "a/b newest",
    String(repeating: "a", count: 65) + " newest",
  ])
  func `anything else is refused`(text: String) {
    #expect(throws: LifeboatError.self) { try StandingRequest(parsing: text) { $0 } }
  }

  @Test func `none is none`() throws {
    for text in ["", " ", "\n"] { #expect(try StandingRequest(parsing: text) { $0 } == nil) }
  }

  @Test(arguments: RestoreScene.Before.allCases)
  func `each id is performed once, and later starts ask for nothing`(before: RestoreScene.Before)
    async throws
  {
    let scene = try await RestoreScene()
    let data = try scene.directory(before)
    try await scene.restore(data, asking("first"))
    #expect(try visible(data) == scene.earlier)
    #expect(recorded(scene.store) == 1)
    if before == .data { #expect(try asides(data) == [RestoreScene.visibleContent(.data)]) }
    try TestFiles.append(SmallRepository.set("s"), to: data + "/appendonlydir/a.1.incr.aof")
    let live = try visible(data)
    for _ in 0..<2 {
      let report = try await scene.restore(data, asking("first"), offline: true)
      guard case .dataPresent = report.outcome else {
        Issue.record("\(report)")
        return
      }
      #expect(try visible(data) == live)
    }
    // Another id is another request. A request that was already performed is not performed again.
    try await scene.restore(data, asking("second"))
    #expect(try visible(data) == scene.earlier)
    #expect(try asides(data).contains(live))
    try await scene.restore(data, asking("first"), offline: true)
    #expect(recorded(scene.store) == 2)
  }

  @Test func `a lost volume is not restored to what was requested once`() async throws {
    let scene = try await RestoreScene()
    try await scene.restore(try scene.directory(.data), asking("once"))
    for before in [RestoreScene.Before.nothing, .anEmptyServer] {
      let data = try scene.directory(before)
      try await scene.restore(data, asking("once"))
      #expect(try visible(data) == scene.newest, "\(before)")
      // The new volume has the record, too.
      try await scene.restore(data, asking("once"), offline: true)
    }
  }

  @Test(arguments: RestoreScene.Before.allCases)
  func `stopped anywhere, it is performed once by the next start, and whole`(
    before: RestoreScene.Before
  ) async throws {
    let scene = try await RestoreScene()
    let steps = try await scene.steps(try scene.directory(before), asking("count"))
    for count in 0...steps.count {
      let (data, ask) = (try scene.directory(before), asking("r\(count)"))
      let words = "\(before), stopped behind \(steps[..<count])"
      let known = recorded(scene.store)
      try await scene.crash(data, ask, before: count)
      try await scene.restore(data, ask)
      #expect(try visible(data) == scene.earlier, "\(words)")
      #expect(recorded(scene.store) == known + 1, "\(words)")
      let wanted = before == .data ? [RestoreScene.visibleContent(.data)] : []
      #expect(try asides(data).filter { !$0.isEmpty } == wanted, "\(words)")
      try await scene.restore(data, ask, offline: true)
      #expect(try visible(data) == scene.earlier, "\(words)")
    }
  }

  /// Somebody removed the request from the manifest.
  @Test func `stopped anywhere, and no longer asked for: the state before, or the whole new one`()
    async throws
  {
    let scene = try await RestoreScene()
    let steps = try await scene.steps(try scene.directory(.data), asking("count"))
    for count in 0...steps.count {
      let data = try scene.directory(.data)
      try await scene.crash(data, asking("r\(count)"), before: count)
      try await scene.restore(data, RestoreScene.ifEmpty, offline: true)
      let found = try visible(data)
      #expect(
        found == scene.earlier || found == RestoreScene.visibleContent(.data),
        "stopped behind \(steps[..<count])")
    }
  }

  /// As long as the repository has no record of it, the restore fails and no server starts.
  @Test func `a store that takes no record keeps the server waiting, and nothing is done twice`()
    async throws
  {
    let scene = try await RestoreScene()
    let data = try scene.directory(.data)
    let refusing = FaultyStore(scene.store) {
      $0.operation == .create ? .fail(FaultyStore.unreachable) : .pass
    }
    for _ in 0..<2 {
      await #expect(throws: LifeboatError.self) {
        try await scene.restore(data, asking("kept"), on: refusing)
      }
      #expect(try visible(data) == scene.earlier)
      #expect(try asides(data) == [RestoreScene.visibleContent(.data)])
    }
    try await scene.restore(data, asking("kept"))
    #expect(recorded(scene.store) == 1)
    #expect(try asides(data) == [RestoreScene.visibleContent(.data)])
    try await scene.restore(data, asking("kept"), offline: true)
  }

  /// Somebody who may only create objects puts garbage under the name of its record before it is performed.
  @Test func `garbage in place of its record is no answer`() async throws {
    let scene = try await RestoreScene()
    let pilot = MemoryStore()
    for (name, bytes) in scene.store.contents { pilot.overwrite(name, bytes) }
    try await scene.restore(try scene.directory(.data), asking("kept"), on: pilot)
    let name = try #require(pilot.names.first { $0.hasPrefix("ops/requests/") })
    scene.store.overwrite(name, [1, 2, 3])
    scene.store.overwrite(name + "-1", [])
    let data = try scene.directory(.data)
    try await scene.restore(data, asking("kept"))
    #expect(try visible(data) == scene.earlier)
    #expect(recorded(scene.store) == 3)
    // It is now recorded, so a lost volume gets the newest state.
    let other = try scene.directory(.nothing)
    try await scene.restore(other, asking("kept"))
    #expect(try visible(other) == scene.newest)
    #expect(recorded(scene.store) == 3)
  }

  /// The last trace of the restore was not removed, but a server started.
  @Test func `what a server wrote to the requested state is not taken away again`() async throws {
    let scene = try await RestoreScene()
    let steps = try await scene.steps(try scene.directory(.data), asking("count"))
    let end = try #require(steps.firstIndex(of: .end))
    let known = recorded(scene.store)
    let data = try scene.directory(.data)
    try await scene.crash(data, asking("late"), before: end)
    try TestFiles.append(SmallRepository.set("s"), to: data + "/appendonlydir/a.1.incr.aof")
    let live = try visible(data)
    for _ in 0..<2 {
      try await scene.restore(data, asking("late"))
      #expect(try visible(data) == live)
    }
    #expect(recorded(scene.store) == known + 1)
  }
}
