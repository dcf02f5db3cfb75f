/// How much memory a process may need: the value of `--memory`. Every width and buffer that is not small
/// derives from it.
///
/// It means that the process completes in a cgroup with this `memory.max` and without swap. Memory that the
/// kernel can reclaim, such as the page cache, does not count.
package struct MemoryBound: Sendable, Equatable {
  /// The allocated size of one object of the largest ordinary size, sealed or not.
  package static let objectBytes = bulkUnit
  /// For used code, small allocations, threads, connections, gaps in the allocator, and the objects of the
  /// record lane or of a reader's records.
  package static let reservedBytes = 34 << 20
  /// The smallest value. Below it there is no room for three pieces: one being read, one being compressed,
  /// and one being sent.
  package static let least = 52 << 20
  package static let standard = MemoryBound(bytes: 64 << 20)

  /// The bound of the running command. A child task has its parent's.
  @TaskLocal package static var current = MemoryBound.standard

  package let bytes: Int

  /// - Parameter bytes: at least `least`.
  package init(bytes: Int) {
    precondition(bytes >= MemoryBound.least, "a bound of \(bytes) bytes")
    self.bytes = bytes
  }

  /// For objects in transfer between a file and the store.
  package var objectsBytes: Int { bytes - MemoryBound.reservedBytes }

  /// At most this many objects are sent or fetched at the same time, however small they are, since each needs
  /// a thread and a connection.
  package static let transfersMax = 32
  /// The minimum memory of a transfer.
  package var transferBytes: Int {
    max(3 << 20, objectsBytes / MemoryBound.transfersMax)
  }
  /// The number of objects in transfer at the same time.
  package var transfers: Int { objectsBytes / transferBytes }

  /// For the stream of a replication link: the part that is not durable yet, and a little more. A full copy
  /// that arrives meanwhile counts as objects.
  package var linkBytes: Int {
    max(MemoryBound.linkLeast, min(bytes / 5, bytes - MemoryBound.least))
  }
  /// The minimum for a link. Up to 4 MiB of small log objects are read again when they are merged, and twice
  /// as much may wait.
  package static let linkLeast = 12 << 20

  /// For objects that a reader of records has fetched but not used yet, each with its content.
  package var readAheadBytes: Int { objectsBytes - (4 << 20) }
}
