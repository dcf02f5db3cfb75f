/// The last part of a stream, by offsets: appended at the end, dropped from the beginning.
struct ByteWindow: Sendable {
  private static let chunkBytes = 64 << 10

  /// The offset of the first byte that is held, and the one after the last.
  private(set) var start: UInt64
  private(set) var end: UInt64
  private var chunks: [[UInt8]] = []
  /// The offset at which each chunk begins.
  private var starts: [UInt64] = []
  /// How many chunks at the front were dropped.
  private var head = 0

  init(at offset: UInt64) {
    start = offset
    end = offset
  }

  var count: Int { Int(end - start) }

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard !bytes.isEmpty else { return }
    if chunks.count > head, chunks[chunks.count - 1].count + bytes.count <= ByteWindow.chunkBytes {
      chunks[chunks.count - 1].append(contentsOf: bytes)
    } else {
      chunks.append([UInt8](bytes))
      starts.append(end)
    }
    end += UInt64(bytes.count)
  }

  /// The bytes [from, to); nil if they are not all held.
  func bytes(from: UInt64, to: UInt64) -> [UInt8]? {
    guard from >= start, to <= end, from <= to else { return nil }
    guard from < to else { return [] }
    var result: [UInt8] = []
    result.reserveCapacity(Int(to - from))
    var index = chunk(holding: from)
    var position = from
    while position < to {
      let skipped = Int(position - starts[index])
      let count = min(chunks[index].count - skipped, Int(to - position))
      result += chunks[index][skipped..<(skipped + count)]
      position += UInt64(count)
      index += 1
    }
    return result
  }

  private func chunk(holding offset: UInt64) -> Int {
    var (low, high) = (head, chunks.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= offset { low = middle } else { high = middle }
    }
    return low
  }

  /// Frees whole chunks below `offset`.
  mutating func drop(below offset: UInt64) {
    while head < chunks.count, starts[head] + UInt64(chunks[head].count) <= offset {
      chunks[head] = []
      head += 1
    }
    start = head < chunks.count ? starts[head] : end
    if head == chunks.count || head >= 64 {
      chunks.removeFirst(head)
      starts.removeFirst(head)
      head = 0
    }
  }

  /// Drops everything from `offset` on. If `offset` is not held, drops everything.
  mutating func cut(to offset: UInt64) {
    guard offset >= start, offset < end else {
      if offset != end { self = ByteWindow(at: offset) }
      return
    }
    while let last = starts.last, last >= offset, chunks.count > head {
      chunks.removeLast()
      starts.removeLast()
    }
    if chunks.count > head, let last = starts.last {
      chunks[chunks.count - 1].removeLast(chunks[chunks.count - 1].count - Int(offset - last))
    }
    end = offset
    start = min(start, end)
  }
}
