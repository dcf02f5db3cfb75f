import BackupFormat
package import BackupTypes
import Codec
import RepositoryAccess
package import SystemIO

/// The digest that identifies a staged file in the journal: the SHA-256 of the SHA-256s of its chunks of 4
/// MiB. A piece of a full copy is such a chunk, so in an unencrypted repository the file's digest is known
/// without reading the file again. It is not keyed, because an interrupted restore is handled without the
/// key.
package struct StagedDigest {
  private static let chunkBytes = GenerationIndex.pieceBytes
  private var chunks = SHA256Hasher()
  private var chunk = SHA256Hasher()
  /// How many bytes of `chunk` are filled.
  private var filled = 0

  package init() {}

  package static func of(chunks: [Digest]) -> Digest {
    var hasher = SHA256Hasher()
    for digest in chunks { hasher.update(digest.bytes) }
    return hasher.finalize()
  }

  package static func of(_ bytes: [UInt8]) -> Digest {
    var digest = StagedDigest()
    bytes.withUnsafeBytes { digest.consume($0) }
    return digest.finish()
  }

  /// Reads the file. Blocks.
  package static func of(_ file: OpenFile, size: UInt64) throws -> Digest {
    var digest = StagedDigest()
    try file.forEachChunk(from: 0, to: size) {
      digest.consume($0)
      return true
    }
    return digest.finish()
  }

  package mutating func consume(_ bytes: UnsafeRawBufferPointer) {
    var rest = bytes
    while !rest.isEmpty {
      let count = min(rest.count, StagedDigest.chunkBytes - filled)
      chunk.update(UnsafeRawBufferPointer(rebasing: rest[..<count]))
      filled += count
      if filled == StagedDigest.chunkBytes { endChunk() }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  package mutating func finish() -> Digest {
    if filled > 0 { endChunk() }
    return chunks.finalize()
  }

  private mutating func endChunk() {
    chunks.update(chunk.finalize().bytes)
    chunk = SHA256Hasher()
    filled = 0
  }
}
