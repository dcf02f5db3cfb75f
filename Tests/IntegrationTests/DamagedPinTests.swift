import BackupFormat
import BackupTypes
import ObjectStorage
import RepositoryAccess
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// A pin with a flipped bit. It does not cause any deletion, and does not block anything.
@Suite struct DamagedPinTests {
  private static let pin = "s0000000000001-1-1"
  private static let name = "ops/pins/" + pin

  /// A repository with a point and a damaged pin, and a volume with new data.
  private func place() async throws -> Place {
    let place = try Place()
    try Volume.writeDump(in: place.data)
    try await place.shipOnce("--source", "test")
    let repository = try #require(try await Repository.open(place.store))
    let now = SystemClock.now()
    let pin = Pin(
      id: DamagedPinTests.pin, repository: repository.id, origin: .start, reason: "test", at: now,
      until: now.advanced(byMilliseconds: 3_600_000), timeline: .first, snapshot: 1, position: nil)
    _ = try await repository.create(
      pin, .operation(.pins, id: DamagedPinTests.pin), kind: .operation)
    let path = place.repository + "/" + DamagedPinTests.name
    try flipBit(path, at: TestFiles.size(path) - 1)
    try TestFiles.write(
      Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n".utf8), to: place.data + "/appendonly.aof")
    return place
  }

  @Test func `ship goes on, and every reader leaves it out and says so`() async throws {
    let place = try await place()
    let before = place.timelines
    let shipped = try await place.shipOnce("--source", "test")
    #expect(place.timelines > before, "\(shipped)")
    #expect(shipped.errorText.has("lifeboat unpin"), "retention tells of it: \(shipped)")
    let listed = try await place.run("list", [])
    #expect(listed.exitCode == 0, "\(listed)")
    #expect(listed.outputText.has("The pin \(DamagedPinTests.pin) can't be read"), "\(listed)")
    #expect(try await place.listing().unreadablePins == [DamagedPinTests.pin])
    let page = place.folder("page.html")
    let report = try await place.run("report", ["--output", page])
    #expect(report.exitCode == 0, "\(report)")
    #expect(try TestFiles.text(page).has("t be read: 1."))
    try await place.restore(into: "target")
  }

  @Test func `nothing is deleted until it is let go by its name`() async throws {
    let place = try await place()
    let refused = try await place.run("prune", [])
    #expect(refused.exit == .corrupt && refused.errorText.has(DamagedPinTests.pin), "\(refused)")
    #expect(refused.errorText.has("lifeboat unpin --repo"), "\(refused)")
    let verified = try await place.run("verify", [])
    #expect(
      verified.exit == .corrupt && verified.outputText.has(DamagedPinTests.name), "\(verified)")
    let released = try await place.run("unpin", [DamagedPinTests.pin])
    #expect(released.exitCode == 0, "\(released)")
    let pruned = try await place.run("prune", [])
    #expect(pruned.exitCode == 0, "\(pruned)")
    #expect(try await place.listing().unreadablePins == [])
    let again = try await place.run("unpin", [DamagedPinTests.pin])
    #expect(again.exit == .noBackup, "\(again)")
  }

  @Test func `unpin --all lets it go, too`() async throws {
    let place = try await place()
    let released = try await place.run("unpin", ["--all"])
    #expect(released.exitCode == 0 && released.outputText.has(DamagedPinTests.pin), "\(released)")
    #expect(try await place.run("prune", []).exitCode == 0)
  }
}
