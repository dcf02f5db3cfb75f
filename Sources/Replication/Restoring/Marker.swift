package import BackupFormat
package import BackupTypes
package import SystemIO
package import SystemPackage

/// What a restore leaves in the data directory: which point it came from, and how the repository stood.
///
/// A shipper that starts there is the heir of that history, unless the history has grown since. A
/// marker proves nothing by itself: the files it names must be there.
package struct Marker: Sendable, Equatable, Codable {
  package static let name = ".lifeboat-restored.json"

  package var repository: Nonce
  package var point: String
  package var instant: Instant
  /// The restore named its point (a time, an id): an older state is what was asked for.
  package var isDeliberate: Bool
  /// The newest timeline at that time, and where it ended.
  package var newest: TimelineNumber
  package var end: Claim.End
  package var restoredAt: Instant

  package init(
    repository: Nonce, point: String, instant: Instant, isDeliberate: Bool,
    newest: TimelineNumber, end: Claim.End, restoredAt: Instant
  ) {
    self.repository = repository
    self.point = point
    self.instant = instant
    self.isDeliberate = isDeliberate
    self.newest = newest
    self.end = end
    self.restoredAt = restoredAt
  }

  /// The marker of `directory`, if there is a readable one; an unreadable one is no marker.
  package static func read(in directory: FilePath) -> Marker? {
    (try? OpenDirectory(directory)).flatMap { read(in: $0) }
  }

  package static func read(in directory: OpenDirectory) -> Marker? {
    guard let file = try? directory.open(name), let bytes = try? file.readAll(limit: 1 << 20)
    else { return nil }
    return try? RecordCoding.decode(Marker.self, from: bytes, name: name)
  }
}
