package import BackupFormat
package import BackupTypes
import Codec
package import HistoryLogic
package import Logging
package import RepositoryAccess
package import WriterLogic

/// Where a shipper gets its data from: the files of a data directory (`Capture`), or simulated ones.
///
/// Whatever blocks does so behind these methods. Used by one task at a time; the lanes read the files.
package protocol Source: AnyObject {
  /// Whether there are files. Otherwise the data comes from a server, over a replication link.
  var hasFiles: Bool { get }
  /// Looks once. What the view names is held until `release`.
  func look() async throws(LifeboatError) -> CaptureView
  /// A file that is held; nil if it was released.
  func file(_ pin: PinID) -> (any SourceFile)?
  /// Gives up every file except those in `pins` and those that the last look found by name.
  func release(except pins: Set<PinID>)
  /// Sizes of held files that have no name any more: disk space that only Lifeboat keeps in use.
  func unlinkedBytes() async -> [PinID: UInt64]
  /// Describes a save in progress that will soon give a new dump. The text changes while the save
  /// continues.
  func savesInProgress() async throws(LifeboatError) -> String
  func origin() async throws(LifeboatError) -> SourceOrigin
  /// The receipt of the restore that made the data, if there is one.
  func receipt() async -> Marker?
  /// Whether a server that started on it now would hold no data.
  func isEmpty() async throws -> Bool
  /// A fact about the source, if it is known without reading: over a link, the server itself proves how far
  /// it continues the history of the repository. Nil if the fact has to be read.
  func knows(_ need: Need, _ history: History) throws(LifeboatError) -> Fact?
  /// Says that a restore of what is durable gives this log. A source of files ignores it; a replication link
  /// acknowledges it to the server.
  func confirm(_ log: RestorableLog, in timeline: TimelineNumber)
  /// Stops showing new data soon, before a stop: a replicated server would otherwise write for ever.
  func freeze()
  /// Begins to call `onChange` when something may have changed, once until it is rearmed.
  func watch(_ logger: Logger, onChange: @escaping @Sendable () -> Void) async -> any SourceWatch
}

/// A file that is held: its content can be read until it is released, with or without a name.
package protocol SourceFile: Sendable {
  /// For messages.
  var name: String { get }
  func version() async throws(LifeboatError) -> FileVersion
  /// The bytes [from, to); fewer only where the file ends.
  func read(from: UInt64, to: UInt64) async throws(LifeboatError) -> [UInt8]
  /// The file will be read from its beginning to its end.
  func adviseSequential()
  /// The bytes below `end` will not be read again.
  func dropCache(upTo end: UInt64)
  /// For a full copy that arrives over a link: the name that it has instead of a fingerprint of its bytes.
  /// Such a copy can be read once, from its beginning, and its size is known only at its end. Nil for a file.
  var streamed: ShortDigest? { get }
}

extension Source {
  package var hasFiles: Bool { true }
  package func knows(_ need: Need, _ history: History) -> Fact? { nil }
  package func freeze() {}
  package func confirm(_ log: RestorableLog, in timeline: TimelineNumber) {}
}

extension SourceFile {
  package var streamed: ShortDigest? { nil }
}

/// What a source is, across restarts and mounts.
package struct SourceOrigin: Sendable {
  /// Identifies the data directory: see `DirectoryName`.
  package var directory: String
  package var place: Claim.Place
  /// The directory's file system keeps its inode numbers and its identifier.
  package var isStable: Bool
  package init(directory: String, place: Claim.Place, isStable: Bool) {
    self.directory = directory
    self.place = place
    self.isStable = isStable
  }
}

/// Wakes the shipper when its source changes.
package protocol SourceWatch: Sendable {
  /// Changes are reported. Otherwise the caller has to look again and again.
  var isWorking: Bool { get }
  /// Allows the next wake-up.
  func rearm()
  /// Allows the next wake-up for a change of names, but not for appended bytes: the caller looks for those at
  /// an interval.
  func rearmForNames()
  func stop()
}

extension SourceFile {
  /// How many bytes are read at a time if they are only passed on.
  private static var chunkBytes: UInt64 { 1 << 20 }

  /// The bytes [from, to); throws `.corrupt` when the file ends before.
  package func whole(from: UInt64, to: UInt64) async throws -> [UInt8] {
    precondition(from <= to && to - from <= UInt64(RecordCoding.sizeMax))
    let bytes = try await read(from: from, to: to)
    guard bytes.count == Int(to - from) else {
      throw LifeboatError(
        .corrupt, "\(name) ended at offset \(from + UInt64(bytes.count)) while it was read",
        cause: "it was \(counted(to, "byte")) long before", isRetryable: true)
    }
    return bytes
  }

  /// Passes the bytes [from, to) to `body` in order, in chunks, until it returns false.
  func stream(
    from: UInt64, to: UInt64, _ body: (UnsafeRawBufferPointer) throws -> Bool
  ) async throws {
    var position = from
    while position < to {
      let bytes = try await read(from: position, to: min(to, position + Self.chunkBytes))
      guard !bytes.isEmpty, try bytes.withUnsafeBytes(body) else { return }
      position += UInt64(bytes.count)
    }
  }

  /// The digest of [from, to), keyed if the repository is encrypted.
  func digest(from: UInt64, to: UInt64, frame: Frame) async throws -> Digest {
    frame.digest(try await whole(from: from, to: to))
  }
}
