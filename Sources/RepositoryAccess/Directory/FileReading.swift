import BackupFormat
import BackupTypes
package import SystemIO

extension OpenFile {
  /// How many bytes are read at a time if they are only passed on.
  package static let chunkBytes = 1 << 20

  /// The bytes [from, to); throws `.corrupt` when the file ends before.
  package func bytes(from: UInt64, to: UInt64) throws -> [UInt8] {
    precondition(from <= to && to - from <= UInt64(RecordCoding.sizeMax))
    let count = Int(to - from)
    var failure: (any Error)?
    let bytes = [UInt8](unsafeUninitializedCapacity: bulkCapacity(count)) { buffer, filled in
      do {
        filled = try read(
          into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count), at: from)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    guard bytes.count == count else {
      throw LifeboatError(
        .corrupt, "\(path) ended at offset \(from + UInt64(bytes.count)) while it was read",
        cause: "it was \(counted(to, "byte")) long before", isRetryable: true)
    }
    return bytes
  }

  /// Passes the bytes [from, to) to `body` in order, in chunks, until it returns false. Blocks.
  package func forEachChunk(
    from: UInt64, to: UInt64, _ body: (UnsafeRawBufferPointer) throws -> Bool
  ) throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Int(min(UInt64(OpenFile.chunkBytes), max(to - min(from, to), 1))), alignment: 16)
    defer { buffer.deallocate() }
    var position = from
    while position < to {
      let wanted = Int(min(UInt64(buffer.count), to - position))
      let count = try read(
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]), at: position)
      guard count > 0 else { return }
      guard try body(UnsafeRawBufferPointer(rebasing: buffer[..<count])) else { return }
      position += UInt64(count)
    }
  }
}
