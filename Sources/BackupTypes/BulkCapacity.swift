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

/// `bytes`, in a smaller buffer if they need half of the one above or less.
///
/// The sizes are its halves, quarters and eighths, so that what is freed is filled again: sizes in between
/// left gaps of 10 MiB.
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
