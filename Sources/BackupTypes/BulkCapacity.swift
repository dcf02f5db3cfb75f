/// The capacity to request for a buffer of `count` bytes.
///
/// Buffers of a piece's order all get the same: the allocator then hands a freed one out again, instead
/// of new memory whose every page the kernel has to clear, and nothing is left between them.
package func bulkCapacity(_ count: Int) -> Int {
  let unit = (4 << 20) + (192 << 10)  // a piece, and what compression may add to one
  guard count > 1 << 20, count < Int.max - unit else { return count }
  return (count + unit - 1) / unit * unit
}
