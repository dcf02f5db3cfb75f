/// A piece, and what compression may add to one.
let bulkUnit = (4 << 20) + (192 << 10)

/// The capacity to request for a buffer of `count` bytes.
///
/// Buffers of a piece's order all get the same: the allocator then hands a freed one out again, instead
/// of new memory whose every page the kernel has to clear, and nothing is left between them.
package func bulkCapacity(_ count: Int) -> Int {
  guard count > 1 << 20, count < Int.max - bulkUnit else { return count }
  return (count + bulkUnit - 1) / bulkUnit * bulkUnit
}

/// `bytes`, in a buffer of about their own size if that saves an eighth of one.
///
/// The sizes are eighths of the buffers above, so that what is freed fits what is needed next.
package func heldAtOwnSize(_ bytes: [UInt8]) -> [UInt8] {
  let part = bulkUnit / 8
  let capacity = max(1, (bytes.count + part - 1) / part) * part
  guard bytes.capacity >= capacity + part else { return bytes }
  return [UInt8](unsafeUninitializedCapacity: bytes.count > part ? capacity : bytes.count) {
    buffer, count in
    bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
    count = bytes.count
  }
}
