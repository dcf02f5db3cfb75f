package import BackupTypes

/// The result of a walk through an RDB.
package struct DatasetRecord: Sendable, Equatable, Codable {
  package struct Database: Sendable, Equatable, Codable {
    package struct Kind: Sendable, Equatable, Codable {
      package var keys: UInt64
      package var elements: UInt64
      package var bytes: UInt64
      package init(keys: UInt64, elements: UInt64, bytes: UInt64) {
        self.keys = keys
        self.elements = elements
        self.bytes = bytes
      }
    }
    package var number: Int
    package var keys: UInt64
    package var expires: UInt64
    package var types: [String: Kind]
    package init(number: Int, keys: UInt64, expires: UInt64, types: [String: Kind]) {
      self.number = number
      self.keys = keys
      self.expires = expires
      self.types = types
    }
  }
  /// `redis 7.4.1`, `valkey 9.1.2`; nil if the file does not say.
  package var server: String?
  /// The version number after the magic in the RDB's header.
  package var rdbVersion: Int
  package var isValkey: Bool
  package var databases: [Database]
  package var functions: Int

  package init(
    server: String?, rdbVersion: Int, isValkey: Bool, databases: [Database], functions: Int
  ) {
    self.server = server
    self.rdbVersion = rdbVersion
    self.isValkey = isValkey
    self.databases = databases
    self.functions = functions
  }

  package var keys: UInt64 { databases.reduce(0) { $0 &+ $1.keys } }
  package var elements: UInt64 {
    databases.reduce(0) { $0 &+ $1.types.values.reduce(0) { $0 &+ $1.elements } }
  }
  package var isEmpty: Bool { keys == 0 && functions == 0 }
}

/// `generations/<id>/index`: written once every piece of a generation is durable. From then on the
/// generation exists.
package struct GenerationIndex: Sendable, Equatable, Codable {
  package static let pieceBytes = 4 << 20
  package enum Kind: String, DecidingWord { case dump, base }
  /// `good`: the structure was walked to the end, and the checksum matched (or was switched off by Redis).
  /// `unverified`: well framed as far as it could be read, but of an unknown kind.
  package enum Verdict: String, DecidingWord { case good, unverified }

  package var generation: GenerationID
  package var kind: Kind
  package var file: String
  package var size: UInt64
  package var pieces: [Digest]
  /// The time of its content: the RDB's `ctime`, otherwise the file's modification time.
  package var contentAt: Instant
  package var verdict: Verdict
  package var remark: String?
  package var dataset: DatasetRecord?

  package init(
    generation: GenerationID, kind: Kind, file: String, size: UInt64, pieces: [Digest],
    contentAt: Instant, verdict: Verdict, remark: String?, dataset: DatasetRecord?
  ) {
    self.generation = generation
    self.kind = kind
    self.file = file
    self.size = size
    self.pieces = pieces
    self.contentAt = contentAt
    self.verdict = verdict
    self.remark = remark
    self.dataset = dataset
  }

  /// The byte range of piece `number`. Empty after the end, since an inconsistent index may list more pieces.
  package func range(ofPiece number: Int) -> Range<UInt64> {
    let piece = UInt64(GenerationIndex.pieceBytes)
    let start = min(UInt64(number) * piece, size)
    return start..<(start + min(piece, size - start))
  }

  /// Whether the pieces cover the size exactly. A BASE of zero bytes is valid: a fresh server with
  /// `aof-use-rdb-preamble no` begins with one. A dump of zero bytes is not.
  package var isConsistent: Bool {
    let piece = UInt64(GenerationIndex.pieceBytes)
    guard size > 0 else { return kind == .base && pieces.isEmpty }
    return UInt64(pieces.count) == (size - 1) / piece + 1
  }
}
