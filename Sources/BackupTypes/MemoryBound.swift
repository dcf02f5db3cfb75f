/// How much memory a process may need: the value of `--memory`. Every width and buffer that is not small
/// derives from it.
///
/// It means: the process runs to its end in a cgroup whose `memory.max` is this, without swap. What the
/// kernel can take back, pages of files among it, does not count.
package struct MemoryBound: Sendable, Equatable {
  /// One object of the largest ordinary size, sealed or not, as the allocator holds it.
  package static let objectBytes = bulkUnit
  /// Code that is in use, small allocations, threads, connections, the gaps that the allocator leaves, and the
  /// objects of the record lane, or of a reader's records.
  package static let reservedBytes = 34 << 20
  /// Below this there is no room for a piece that is read, one that is compressed, and one that is sent.
  package static let least = 52 << 20
  package static let standard = MemoryBound(bytes: 64 << 20)

  /// Of the running command. A child task has its parent's.
  @TaskLocal package static var current = MemoryBound.standard

  package let bytes: Int

  /// - Parameter bytes: `least` at least.
  package init(bytes: Int) {
    precondition(bytes >= MemoryBound.least, "a bound of \(bytes) bytes")
    self.bytes = bytes
  }

  /// For objects on their way between a file and the store.
  package var objectsBytes: Int { bytes - MemoryBound.reservedBytes }

  /// More objects than this are not sent or fetched at the same time, however small they are: each has a
  /// thread and a connection.
  package static let transfersMax = 32
  /// What a transfer costs at least.
  package var transferBytes: Int {
    max(3 << 20, objectsBytes / MemoryBound.transfersMax)
  }
  /// Objects under way at the same time.
  package var transfers: Int { objectsBytes / transferBytes }

  /// For the stream of a replication link: what is not durable yet, and a little more. A full copy that comes
  /// meanwhile has its place among the objects.
  package var linkBytes: Int {
    max(MemoryBound.linkLeast, min(bytes / 5, bytes - MemoryBound.least))
  }
  /// Small log objects are read again when they are merged, up to 4 MiB of them. Twice as much may wait.
  package static let linkLeast = 12 << 20

  /// For objects that a reader of records fetched and did not use yet, each with its content.
  package var readAheadBytes: Int { objectsBytes - (4 << 20) }
}
