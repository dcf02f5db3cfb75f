import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import TestSupport
import Testing

/// Restore points that a person keeps under a name.
@Suite struct NamedPinTests {
  private func made() async throws -> MadeRepository {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addSnapshot(1, 1, dumpAt: 1000)
    return made
  }

  private func pin(_ name: String, _ made: MadeRepository, now: Int64 = 2000) async throws
    -> NamedPin
  {
    try await NamedPin.make(
      name, keptFor: 100_000, in: made.repository, url: nil, now: at(now))
  }

  private func code(_ run: () async throws -> Void) async -> ExitCode {
    do {
      try await run()
      return .success
    } catch {
      return LifeboatError(wording: error).code
    }
  }

  @Test func `a name finds the state that was the newest when it was given`() async throws {
    let made = try await made()
    let pin = try await pin("before-migration", made)
    #expect(pin.point == "1.1" && pin.until == at(102_000).description)
    try await made.addSnapshot(1, 2, dumpAt: 3000)
    #expect(try await made.choose()?.id == "1.2")
    #expect(try await made.choose(.point("before-migration"))?.id == "1.1")
  }

  @Test func `a name is given once, until it is released or its time is over`() async throws {
    let made = try await made()
    let first = try await pin("a", made)
    #expect(await code { _ = try await pin("a", made, now: 3000) } == .refused)
    _ = try await pin("b", made, now: 3000)
    #expect(await code { _ = try await pin("A b", made) } == .usage)
    _ = try await made.repository.create(
      Release(pin: first.id, repository: made.repository.id, at: at(4000), by: "test"),
      .operation(.releases, id: first.id), kind: .operation)
    #expect(await code { _ = try await made.choose(.point("a")) } == .noBackup)
    _ = try await pin("a", made, now: 5000)
    _ = try await pin("b", made, now: 200_000)
    #expect(
      await code { _ = try await made.choose(.point("a"), now: at(200_000)) } == .noBackup)
  }

  @Test func `two pins of one name, and a damaged one, are said and not guessed`() async throws {
    let made = try await made()
    let first = try await pin("a", made)
    let twin = Pin(
      id: Pin.id(named: "a", at: at(9)), repository: made.repository.id, origin: .drop,
      reason: "test", at: at(9), until: at(100_000), timeline: .first, snapshot: 1, position: nil,
      name: "a")
    _ = try await made.repository.create(
      twin, .operation(.pins, id: twin.id), kind: .operation)
    #expect(await code { _ = try await made.choose(.point("a")) } == .usage)
    for id in [first.id, twin.id] {
      made.store.overwrite(ObjectPath.operation(.pins, id: id).text, [1, 2, 3])
    }
    #expect(await code { _ = try await made.choose(.point("a")) } == .corrupt)
    #expect(await code { _ = try await pin("a", made) } == .refused)
    let reading = try await made.repository.pinsInForce(
      try await made.repository.catalogue(prefix: "ops/"), now: at(3000))
    #expect(reading.ids(named: "a").count == 2)
    // Nothing else is affected.
    #expect(try await made.choose()?.id == "1.1")
  }

  @Test func `without a restore point there is nothing to keep`() async throws {
    let made = try await MadeRepository()
    #expect(await code { _ = try await pin("a", made) } == .noBackup)
  }
}
