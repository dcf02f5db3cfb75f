import BackupTypes
import RepositoryAccess
import TestSupport
import Testing

/// A snapshot that can't be read. `list` shows the others, and each refusal names a command that works.
@Suite struct DamagedSnapshotTests {
  private static let first = "timelines/00000001/snapshots/00000001"

  /// Two timelines with a point each; returns the place and the newest snapshot's name.
  private func place() async throws -> (place: Place, last: String) {
    let place = try Place()
    try Volume.writeDump(in: place.data)
    try await place.shipOnce("--source", "test")
    try TestFiles.write(
      Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n".utf8), to: place.data + "/appendonly.aof")
    try await place.shipOnce("--source", "test")
    let snapshots = TestFiles.tree(place.repository).filter { $0.has("/snapshots/") }.sorted()
    return (place, try #require(snapshots.last))
  }

  private func damage(_ name: String, _ place: Place) throws {
    let path = place.repository + "/" + name
    try flipBit(path, at: TestFiles.size(path) - 1)
  }

  @Test func `the newest: a restore says where to go on, and an older point restores`() async throws
  {
    let (place, last) = try await place()
    try damage(last, place)
    let target = try place.folder.makeDirectory("refused")
    let refused = try await place.run("restore", ["--data", target])
    #expect(refused.exit == .corrupt, "\(refused)")
    for words in ["lifeboat verify", "lifeboat report", "--point ID"] {
      #expect(refused.errorText.has(words), "\(refused)")
    }
    let listed = try await place.run("list", [])
    #expect(listed.exitCode == 0 && listed.outputText.has(last + " can't be read"), "\(listed)")
    #expect(listed.outputText.has("newest restore point: not known"), "\(listed)")
    let listing = try await place.listing()
    #expect(listing.unreadable == [last] && listing.newest == nil)
    let id = try #require(listing.timelines.flatMap(\.windows).last?.point)
    #expect(listed.outputText.has(id), "\(listed)")
    try await place.restore(into: "older", "--point", id)
    let doctor = try await place.run("doctor", [])
    #expect(doctor.exit == .corrupt && doctor.outputText.has(last), "\(doctor)")
  }

  @Test func `an older one: the newest restores, and the list is without it`() async throws {
    let (place, _) = try await place()
    try damage(DamagedSnapshotTests.first, place)
    try await place.restore(into: "newest")
    let listing = try await place.listing()
    #expect(listing.unreadable == [DamagedSnapshotTests.first] && listing.newest != nil)
    let listed = try await place.run("list", ["--json"])
    #expect(listed.exitCode == 0, "\(listed)")
    #expect(!listing.timelines.flatMap(\.points).contains { $0.id.hasPrefix("1.1") })
  }
}
