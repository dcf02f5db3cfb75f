package import BackupTypes

/// `ops/drills/<id>`: a restore point was restored, loaded by a real server, and compared.
package struct Drill: Sendable, Equatable, Codable {
  /// 13 digits of unix milliseconds and a random part, so that the last by name is the newest.
  package var id: String
  package var repository: Nonce
  /// When the drill began.
  package var at: Instant
  package var point: String
  package var instant: Instant
  package var isPassed: Bool
  /// From the first request until a server may start on the directory.
  package var restoreMilliseconds: Int64
  /// From there until the server answered.
  package var loadMilliseconds: Int64
  /// Bytes of the restored files.
  package var bytes: UInt64
  /// The server that loaded it, `redis 7.4.1`.
  package var server: String
  /// The number of keys in the server; nil if they could not be counted.
  package var keys: UInt64?
  package var elements: UInt64?
  /// How many values were compared.
  package var values: Int
  /// The first few differences.
  package var differences: [String]

  package init(
    id: String, repository: Nonce, at: Instant, point: String, instant: Instant, isPassed: Bool,
    restoreMilliseconds: Int64, loadMilliseconds: Int64, bytes: UInt64, server: String,
    keys: UInt64?, elements: UInt64?, values: Int, differences: [String]
  ) {
    self.id = id
    self.repository = repository
    self.at = at
    self.point = point
    self.instant = instant
    self.isPassed = isPassed
    self.restoreMilliseconds = restoreMilliseconds
    self.loadMilliseconds = loadMilliseconds
    self.bytes = bytes
    self.server = server
    self.keys = keys
    self.elements = elements
    self.values = values
    self.differences = differences
  }
}
