import BackupFormat
import BackupTypes
import ObjectStorage
import RepositoryAccess
import Testing

/// A record that is created again: after a lost reply, or by another process.
@Suite struct LostReplyTests {
  private func create(_ reason: String, in made: MadeRepository) async throws -> CreateOutcome {
    let pin = Pin(
      id: "p1", repository: made.repository.id, origin: .start, reason: reason, at: at(0),
      until: at(1000), timeline: .first, snapshot: 1, position: nil)
    return try await made.repository.create(pin, .operation(.pins, id: pin.id), kind: .operation)
  }

  @Test func `the same record is one's own, another one is another's`() async throws {
    let made = try await MadeRepository()
    #expect(try await create("mine", in: made) == .created)
    #expect(try await create("mine", in: made) == .created, "the reply was lost")
    #expect(try await create("another", in: made) == .exists)
  }
}
