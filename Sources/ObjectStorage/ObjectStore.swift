package import BackupTypes

/// The place of a repository's objects: a flat set of names. A name stands for the same bytes forever.
///
/// Every implementation passes `ObjectStoreConformance` (in TestSupport). Errors are `LifeboatError`s that
/// name the object and the store. A store does not retry; its caller does. A created object is visible to
/// every later call of any reader.
///
/// Calls may block their thread. Make them with a `BlockingPool` as the preferred executor.
package protocol ObjectStore: Sendable {
  /// For messages: `file:///backups/redis`.
  var location: String { get }

  /// Creates an object unless one with that name exists. Never overwrites. The object is durable on return,
  /// whatever the outcome.
  func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome

  /// Reads a whole object. Nil only if its absence is proved. Anything less is an error.
  ///
  /// - Parameter limit: in bytes. A larger object is `.corrupt`. No more than this is held in memory.
  func read(_ name: String, limit: Int) async throws -> [UInt8]?

  /// Returns one page of the objects whose names begin with `prefix` (a string prefix, not a directory),
  /// sorted by the UTF-8 bytes of their names. `pagesAscend` says whether the pages are in order as well.
  ///
  /// - Parameter continuing: `next` of the previous page, with the same prefix.
  func list(prefix: String, continuing: String?) async throws -> ListPage

  /// Returns the contents of one level below a prefix. The prefix is empty or ends with "/".
  func folder(_ prefix: String) async throws -> StoreFolder

  /// Deletes objects. Deleting an absent object succeeds.
  ///
  /// - Returns: an error for each object that still exists, by name.
  /// - Throws: if the store as a whole could not be reached.
  func delete(_ names: [String]) async throws -> [String: LifeboatError]

  /// The store's clock; nil if it only has this machine's clock.
  func now() async throws -> Instant?

  /// False after the store said that it does not support creating an object only if it is absent. A race of
  /// two writers is then not decided. Only a probe detects a store that silently overwrites.
  var createsConditionally: Bool { get }

  /// Whether each page of a listing begins after the end of the previous one. A store that sorts by path
  /// components returns `a/b` before `a-b`.
  var pagesAscend: Bool { get }

  /// Whether listings of several prefixes at the same time are faster than one after another.
  var listsSideBySide: Bool { get }

  /// Called before the first write. Prepares the store for writing.
  func prepare() async throws
}

extension ObjectStore {
  package var createsConditionally: Bool { true }
  package var pagesAscend: Bool { true }
  package var listsSideBySide: Bool { false }

  /// Whether an object with this name exists, whatever it contains.
  ///
  /// - Parameter limit: the maximum size of such an object, in bytes. No more is read.
  package func has(_ name: String, limit: Int) async throws -> Bool {
    do {
      return try await read(name, limit: limit) != nil
    } catch let error as LifeboatError where error.code == .corrupt {
      return true
    }
  }
}

/// The maximum size of a server's refusal. Such a reply is read regardless of the object's limit.
package let refusalBytesMax = 256 << 10

extension ObjectStore {
  /// - Throws: if the object is too large to be created.
  package func checkSize(of bytes: [UInt8], _ name: String) throws(LifeboatError) {
    guard bytes.count > objectByteCountMax else { return }
    throw LifeboatError(
      .failure, "\(name) has \(humanBytes(bytes.count)), more than the limit for an object")
  }

  /// The body of a reply, if it is within the object's limit.
  package func checked(
    _ body: [UInt8], limit: Int, of name: String
  ) throws(LifeboatError) -> [UInt8] {
    guard body.count > limit else { return body }
    throw LifeboatError(
      .corrupt, "the object \(printable(name)) at \(location) is too large",
      cause: "it has more than the \(humanBytes(limit)) that an object of this name can have")
  }
}

/// One object of a listing.
package struct ObjectEntry: Sendable, Hashable {
  package var name: String
  /// Bytes.
  package var size: Int
  /// According to the store's clock.
  package var modified: Instant

  package init(name: String, size: Int, modified: Instant) {
    self.name = name
    self.size = size
    self.modified = modified
  }
}

package struct ListPage: Sendable {
  /// The most entries that a page can have.
  package static let entriesMax = 1000

  package var entries: [ObjectEntry]
  /// Opaque; nil after the last page. A page may be short or empty without being the last.
  package var next: String?

  package init(entries: [ObjectEntry], next: String?) {
    self.entries = entries
    self.next = next
  }
}

package enum CreateOutcome: Sendable { case created, exists }

/// The largest object that is created: 64 MiB, sixteen pieces. Reading has a limit for each kind of object.
package let objectByteCountMax = 64 << 20
