package import BackupFormat
package import BackupTypes
package import SystemIO
package import SystemPackage

/// What a restore leaves in the data directory: the restore point, and the state of the repository at that
/// time.
///
/// A shipper that starts there continues that history, unless the history has grown since. The marker alone
/// proves nothing: the files it names must exist.
package struct Marker: Sendable, Equatable, Codable {
  package static let name = ".lifeboat-restored.json"

  package var repository: Nonce
  package var point: String
  package var instant: Instant
  /// The restore named its point (by a time or an id), so an older state was wanted.
  package var isDeliberate: Bool
  /// The newest timeline at the time of the restore, and where it ended.
  package var newest: TimelineNumber
  package var end: Claim.End
  package var restoredAt: Instant
  /// The standing requests that were performed on this volume. Nil: none, or an earlier release wrote it.
  package var requests: [Request]?

  /// A standing request that was performed. This entry was put in place together with the requested state.
  package struct Request: Sendable, Equatable, Codable {
    package var id: String
    /// Whether the repository has the record, too. Until it does, no restore succeeds, so no server has
    /// started.
    package var isRecorded: Bool

    package init(id: String, isRecorded: Bool) {
      self.id = id
      self.isRecorded = isRecorded
    }
  }

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

  package func request(_ id: String) -> Request? { requests?.first { $0.id == id } }

  /// The marker of `directory`; nil if there is none, or if it can't be read.
  package static func read(in directory: FilePath) -> Marker? {
    (try? OpenDirectory(directory)).flatMap { read(in: $0) }
  }

  package static func read(in directory: OpenDirectory) -> Marker? {
    guard let file = try? directory.open(name), let bytes = try? file.readAll(limit: 1 << 20)
    else { return nil }
    return try? RecordCoding.decode(Marker.self, from: bytes, name: name)
  }
}
