package import BackupTypes

/// Where a repository's objects are: a flat set of names, each of which means its bytes for ever.
///
/// Every implementation passes `ObjectStoreConformance` (in TestSupport). Errors are
/// `LifeboatError`s that name the object and the store; a store does not retry, its caller does.
/// What was created is visible to every later call of any reader.
///
/// Calls may block their thread: make them with a `BlockingPool` as the preferred executor.
package protocol ObjectStore: Sendable {
  /// For messages: `file:///backups/redis`.
  var location: String { get }

  /// Creates an object, unless there is one of that name; never overwrites. Durable on return,
  /// whatever the outcome.
  func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome

  /// The whole object. Nil only if its absence is proved; anything less is an error.
  ///
  /// - Parameter limit: bytes. A larger object is `.corrupt`, and not more of it than this is held in memory.
  func read(_ name: String, limit: Int) async throws -> [UInt8]?

  /// One page of the objects whose names begin with `prefix` (as a string, not a directory), sorted
  /// by the UTF-8 bytes of their names. Whether pages ascend as well, `pagesAscend` says.
  ///
  /// - Parameter continuing: `next` of the page before, with the same prefix.
  func list(prefix: String, continuing: String?) async throws -> ListPage

  /// What is directly below a prefix, which is empty or ends with "/".
  func folder(_ prefix: String) async throws -> StoreFolder

  /// Deletes objects; one that is absent is a success.
  ///
  /// - Returns: the errors, by name, of those that are still there.
  /// - Throws: when the store as a whole could not be reached.
  func delete(_ names: [String]) async throws -> [String: LifeboatError]

  /// The store's clock; nil when it has none but this machine's.
  func now() async throws -> Instant?

  /// False once the store said that it can't create an object only if it is absent. A race of two writers
  /// is then not decided. A store that silently overwrites is found only by a probe.
  var createsConditionally: Bool { get }

  /// Whether each page of a listing begins after the end of the one before. A store that sorts by the
  /// components of a path has `a/b` before `a-b`.
  var pagesAscend: Bool { get }

  /// Called before the first write. Prepares the store for writing.
  func prepare() async throws
}

extension ObjectStore {
  package var createsConditionally: Bool { true }
  package var pagesAscend: Bool { true }

  /// Whether there is an object of this name, whatever it holds.
  ///
  /// - Parameter limit: bytes; what an object of this name has at most. More is not read.
  package func has(_ name: String, limit: Int) async throws -> Bool {
    do {
      return try await read(name, limit: limit) != nil
    } catch let error as LifeboatError where error.code == .corrupt {
      return true
    }
  }
}

/// What a server may say when it refuses to give an object: such a reply is read whatever the object's limit.
package let refusalBytesMax = 256 << 10

extension ObjectStore {
  /// The body of a reply, if it is within the limit of the object.
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
  /// By the store's clock.
  package var modified: Instant

  package init(name: String, size: Int, modified: Instant) {
    self.name = name
    self.size = size
    self.modified = modified
  }
}

package struct ListPage: Sendable {
  /// How many entries a page has at most.
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

/// The largest object that is created: 64 MiB, sixteen pieces. What is read has a limit of its own kind.
package let objectByteCountMax = 64 << 20
