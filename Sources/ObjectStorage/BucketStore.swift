package import BackupTypes

/// A page of a bucket's listing, parsed and checked.
package protocol BucketListing: Sendable {
  /// The entries have full keys as names.
  var entries: [ObjectEntry] { get }
  /// With a delimiter: the common prefixes of longer keys, including the delimiter.
  var commonPrefixes: [String] { get }
  /// nil after the last page.
  var next: String? { get }
}

/// A repository below a prefix of a bucket (Azure: a container), in a store that is reached over HTTP.
///
/// A conforming store creates and reads objects, gets one page of a listing, and deletes keys. Everything
/// else is the same for all of them, and is here.
package protocol BucketStore: ObjectStore {
  associatedtype Listing: BucketListing

  /// The repository's prefix in the bucket, without "/" at the end. Empty: the whole bucket.
  var bucketPrefix: String { get }
  /// The store's clock minus this machine's, in milliseconds; nil before the first reply.
  var clockOffset: Int64? { get }
  /// This machine's clock.
  var clock: Instant { get }

  /// Gets one page of the listing.
  /// - Parameters:
  ///   - prefix: a prefix of names within the repository. With `isOneLevel`, it is empty or ends with "/".
  ///   - isOneLevel: longer keys are replaced by their common prefixes up to the next "/".
  func page(
    of prefix: String, continuing: String?, limit: Int, isOneLevel: Bool
  ) async throws -> Listing

  /// Deletes objects by their full keys. Deleting an absent object succeeds.
  /// - Returns: an error for each object that still exists, by name.
  func delete(keys: [(name: String, key: String)]) async throws -> [String: LifeboatError]

  /// Runs `body` on the client's threads, since it also computes checksums and parses. Turns a refusal into
  /// the operator's error.
  func unwrapping<Value>(_ body: () async throws -> Value) async throws -> Value
}

extension BucketStore {
  // MARK: ObjectStore

  package func list(prefix: String, continuing: String?) async throws -> ListPage {
    guard ObjectName.mayBegin(with: prefix) else { return ListPage(entries: [], next: nil) }
    return try await unwrapping {
      let listing = try await page(
        of: prefix, continuing: continuing, limit: ListPage.entriesMax, isOneLevel: false)
      return try ListPage(
        listed: listing.entries, base: bucketPrefix, prefix: prefix, next: listing.next,
        location: location)
    }
  }

  package func folder(_ prefix: String) async throws -> StoreFolder {
    try await unwrapping {
      var folder = StoreFolder()
      var token: String?
      repeat {
        let listing = try await page(
          of: prefix, continuing: token, limit: ListPage.entriesMax, isOneLevel: true)
        try folder.add(
          folders: listing.commonPrefixes, objects: listing.entries.map(\.name),
          below: base + prefix, location: location)
        if let next = listing.next, next == token { throw folder.endless(location) }
        token = listing.next
      } while token != nil && !folder.isCut
      folder.sort()
      return folder
    }
  }

  package func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    var failures: [String: LifeboatError] = [:]
    var keys: [(name: String, key: String)] = []
    for name in names {
      do throws(LifeboatError) {
        keys.append((name, try key(name)))
      } catch {
        failures[name] = error
      }
    }
    return try await unwrapping {
      failures.merge(try await delete(keys: keys)) { first, _ in first }
      return failures
    }
  }

  package func now() async throws -> Instant? {
    try await unwrapping {
      _ = try await page(of: "", continuing: nil, limit: 1, isOneLevel: false)
      return clockOffset.map { clock.advanced(byMilliseconds: $0) }
    }
  }

  /// The bucket's owner creates it, and decides on its region, policy and price.
  package func prepare() async throws {}

  // MARK: Names and errors

  /// The beginning of every key of the repository.
  package var base: String { bucketPrefix.isEmpty ? "" : bucketPrefix + "/" }

  package func key(_ name: String) throws(LifeboatError) -> String {
    _ = try ObjectName.components(name)
    return base + name
  }

  /// An object's location for messages, printable.
  package func object(_ name: String) -> String {
    name.isEmpty ? location : location + "/" + printable(name, limit: 400)
  }

  /// The error for a reply from which nothing can be concluded.
  /// - Parameter verb: the attempted operation: `read`.
  package func unusable(_ verb: String, _ name: String, _ cause: String) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, "can't \(verb) \(object(name))", cause: cause,
      hint: "check the endpoint, and proxies and devices in between", isRetryable: true)
  }
}
