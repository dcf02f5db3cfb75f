package import BackupFormat
package import BackupTypes
import Codec

/// Identifies the content of a file, to recognise a dump or BASE that is already in the repository.
///
/// For a file that is entirely an RDB and has a checksum, it uses the size, the first 64 bytes and the
/// trailer, which holds the CRC64 of everything before it. For any other file it uses the whole content.
package enum Fingerprint {
  private static let headBytes: UInt64 = 64
  private static let tailBytes: UInt64 = 9

  package static func of(_ file: any SourceFile, size: UInt64, frame: Frame) async throws
    -> ShortDigest
  {
    if size > headBytes + tailBytes {
      let head = try await file.whole(from: 0, to: headBytes)
      let tail = try await file.whole(from: size - tailBytes, to: size)
      if isWholeRDB(head: head, tail: tail) {
        let text = Array("rdb".utf8) + littleEndianBytes(size) + head + tail
        return frame.digest(text).short
      }
    }
    var digests: [UInt8] = Array("file".utf8) + littleEndianBytes(size)
    var position: UInt64 = 0
    while position < size {
      let end = min(position + UInt64(GenerationIndex.pieceBytes), size)
      digests += try await file.digest(from: position, to: end, frame: frame).bytes
      position = end
    }
    return frame.digest(digests).short
  }

  /// An RDB ends with FF and its checksum. An RDB followed by commands ends with CR LF instead. If a
  /// checksum happens to end so, the file is hashed completely, which is only slower.
  private static func isWholeRDB(head: [UInt8], tail: [UInt8]) -> Bool {
    let isRDB = head.starts(with: "REDIS".utf8) || head.starts(with: "VALKEY".utf8)
    return isRDB && tail[0] == 0xff && !tail.dropFirst().allSatisfy { $0 == 0 }
      && Array(tail.suffix(2)) != [0x0d, 0x0a]
  }
}
