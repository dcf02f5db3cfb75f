package import BackupTypes
import Synchronization

/// Compresses whole pieces, each into one self-contained frame or member.
///
/// The contexts are the largest permanent allocations of a shipper (about 1.5 MiB each). So there are few of
/// them, which are made on first use and then reused. A caller blocks its thread while all of them are busy,
/// so call this from a `BlockingPool`.
package final class Compressor: Sendable {
  package static let contextsMax = 2

  private struct Slot: ~Copyable, Sendable {
    let context = Mutex<ZstdContext?>(nil)
  }
  private let first = Slot()
  private let second = Slot()

  package init() {}

  /// - Parameter prefix: number of zero bytes to put first, for a header that is not known yet.
  /// - Throws: only if the library is out of memory or refuses its settings.
  package func compress(
    _ bytes: UnsafeRawBufferPointer, using compression: Compression, prefix: Int = 0
  ) throws(LifeboatError) -> [UInt8] {
    switch compression {
    case .none: return try copied(bytes, prefix: prefix)
    case .gzip: return try Gzip.compress(bytes, prefix: prefix)
    case .zstd:
      return try withContext { context in
        Result { () throws(LifeboatError) in try context.compress(bytes, prefix: prefix) }
      }.get()
    }
  }

  package func compress(
    _ bytes: [UInt8], using compression: Compression, prefix: Int = 0
  ) throws(LifeboatError) -> [UInt8] {
    if compression == .none, prefix == 0 { return bytes }
    return try bytes.withUnsafeBytes { buffer in
      Result { () throws(LifeboatError) in
        try compress(buffer, using: compression, prefix: prefix)
      }
    }.get()
  }

  private func withContext(
    _ body: (ZstdContext) -> Result<[UInt8], LifeboatError>
  ) throws(LifeboatError) -> Result<[UInt8], LifeboatError> {
    func run(_ slot: inout ZstdContext?) -> Result<[UInt8], LifeboatError> {
      Result { () throws(LifeboatError) in
        let context: ZstdContext
        if let kept = slot {
          context = kept
        } else {
          context = try ZstdContext()
          slot = context
        }
        return try body(context).get()
      }
    }
    if let result = first.context.withLockIfAvailable({ run(&$0) }) { return result }
    if let result = second.context.withLockIfAvailable({ run(&$0) }) { return result }
    return first.context.withLock { run(&$0) }
  }
}

/// The original `size` bytes of `bytes`.
///
/// Safe for any input: truncated or altered data, a size other than `size`, data after the end, and a
/// decompression bomb are all `.corrupt`. It never allocates more than `size` bytes and a constant.
///
/// - Parameter limit: the largest `size` that the caller accepts.
package func decompress(
  _ bytes: UnsafeRawBufferPointer, using compression: Compression, exactly size: Int, limit: Int
) throws(LifeboatError) -> [UInt8] {
  guard size >= 0, size <= limit else {
    throw LifeboatError(
      .corrupt,
      "compressed data claims \(counted(size, "byte")), more than the \(limit) allowed here")
  }
  switch compression {
  case .none:
    guard bytes.count == size else {
      throw LifeboatError(
        .corrupt, "stored data has \(counted(bytes.count, "byte")) instead of \(size)")
    }
    return try copied(bytes)
  case .zstd: return try Zstd.decompress(bytes, exactly: size)
  case .gzip: return try Gzip.decompress(bytes, exactly: size)
  }
}

package func decompress(
  _ bytes: [UInt8], using compression: Compression, exactly size: Int, limit: Int
) throws(LifeboatError) -> [UInt8] {
  try bytes.withUnsafeBytes { buffer in
    Result { () throws(LifeboatError) in
      try decompress(buffer, using: compression, exactly: size, limit: limit)
    }
  }.get()
}

/// `bytes` after `prefix` zero bytes, in a buffer like that of compressed ones.
private func copied(
  _ bytes: UnsafeRawBufferPointer, prefix: Int = 0
) throws(LifeboatError) -> [UInt8] {
  try filledArray(capacity: bytes.count, prefix: prefix) { (output) throws(LifeboatError) -> Int in
    output.copyMemory(from: bytes)
    return bytes.count
  }
}

/// An array of `prefix` zero bytes and up to `capacity` more that `body` fills. `body` returns how many it
/// wrote.
func filledArray(
  capacity: Int, prefix: Int = 0,
  _ body: (UnsafeMutableRawBufferPointer) throws(LifeboatError) -> Int
) throws(LifeboatError) -> [UInt8] {
  var failure: LifeboatError?
  // The initializer only rethrows untyped errors, so a typed one is stored in a variable.
  let result = [UInt8](unsafeUninitializedCapacity: bulkCapacity(prefix + capacity)) {
    buffer, count in
    do throws(LifeboatError) {
      let all = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: prefix + capacity)
      all[..<prefix].initializeMemory(as: UInt8.self, repeating: 0)
      count = prefix + (try body(UnsafeMutableRawBufferPointer(rebasing: all[prefix...])))
    } catch {
      failure = error
      count = 0
    }
  }
  if let failure { throw failure }
  return result
}
