/// The size of a piece, with what compression may add to it.
let bulkUnit = (4 << 20) + (192 << 10)

/// The capacity to request for a buffer of `count` bytes.
///
/// All buffers of about the size of a piece get the same capacity. So the allocator reuses a freed one
/// instead of new memory, whose pages the kernel would have to clear, and there are no gaps between buffers.
package func bulkCapacity(_ count: Int) -> Int {
  guard count > 1 << 20, count < Int.max - bulkUnit else { return count }
  return (count + bulkUnit - 1) / bulkUnit * bulkUnit
}

/// `bytes`, in a smaller buffer if they need at most half of the size above.
///
/// The sizes are halves, quarters and eighths of it, so that freed buffers are reused. With sizes in between,
/// there were gaps of 10 MiB.
package func heldAtOwnSize(_ bytes: [UInt8]) -> [UInt8] {
  var capacity = bulkUnit
  while capacity > bulkUnit / 8, bytes.count <= capacity / 2 { capacity /= 2 }
  guard bytes.capacity >= 2 * capacity else { return bytes }
  return [UInt8](unsafeUninitializedCapacity: bytes.count > 1 << 16 ? capacity : bytes.count) {
    buffer, count in
    bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
    count = bytes.count
  }
}
