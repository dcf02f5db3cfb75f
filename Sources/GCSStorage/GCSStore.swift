package import BackupTypes
package import CloudAuth
package import HTTPTransport
package import ObjectStorage
import Synchronization
import SystemIO

/// A repository in a bucket of Google Cloud Storage, over its JSON API.
///
/// Every object is created with one request, with its checksum and `ifGenerationMatch=0`. Resumable uploads
/// are not used, so none are left behind.
///
/// A 404 alone proves nothing: that of a download says only in its text, if at all, whether the object or the
/// bucket is missing. An object counts as absent only if a complete listing right after the 404 does not
/// contain the name.
package final class GCSStore: ObjectStore {
  package let gcs: GCSLocation
  package var location: String { gcs.description }

  let exchange: GCSExchange

  /// - Parameters:
  ///   - endpoint: `https://storage.googleapis.com`.
  ///   - now: the wall clock.
  ///   - observe: called for every request, including retries.
  package init(
    _ location: GCSLocation, endpoint: String, client: HTTPClient,
    credentials: CredentialProvider<GoogleAccessToken>,
    now: @escaping @Sendable () -> Instant,
    observe: @escaping @Sendable (RequestObservation) -> Void
  ) {
    gcs = location
    exchange = GCSExchange(
      endpoint: endpoint, client: client, credentials: credentials, session: GCSSession(), now: now,
      observe: observe)
  }

  /// The store's clock minus this machine's, in milliseconds; nil before the first answer.
  package var clockOffset: Int64? { exchange.session.observedOffset.withLock { $0 } }

  // MARK: ObjectStore

  package func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    let key = try key(name)
    guard bytes.count <= objectByteCountMax else {
      throw LifeboatError(
        .failure, "\(name) has \(humanBytes(bytes.count)), more than the limit for an object")
    }
    return try await unwrapping {
      let upload = try GCSUpload(
        key: key, content: bytes, boundary: hexadecimal(secureRandomBytes(16)))
      var request = GCSRequest(
        action: .create, method: .post, path: "/upload\(bucketPath)/o", object: object(name))
      request.query = [
        ("uploadType", "multipart"), ("ifGenerationMatch", "0"), ("fields", GCSUpload.fields),
      ]
      request.headers = upload.headers
      request.body = upload.body
      let reply: HTTPResponse
      do {
        reply = try await exchange.send(request, accepting: [200, 412])
      } catch let refusal as GCSRefusal where refusal.fault.mayNotReplace {
        // Append-only credentials: the object exists.
        guard try await isListed(key, name) else { throw refusal }
        return .exists
      }
      if reply.status == 412 { return .exists }
      guard let stored = GCSUpload.Stored(reply.body) else {
        throw unusable(.create, name, "the reply is not a valid reply to an upload")
      }
      guard upload.matches(stored, count: bytes.count) else {
        // Removed so that a retry does not take the damaged object for ours.
        try await remove(key: key, name: name, generation: stored.generation)
        throw unusable(.create, name, "the object was changed in transit")
      }
      return .created
    }
  }

  package func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    let key = try key(name)
    var request = GCSRequest(
      action: .read, method: .get, path: path(key), query: [("alt", "media")], object: object(name))
    request.responseBytesMax = max(limit, refusalBytesMax)
    return try await unwrapping {
      do {
        let reply = try await exchange.send(request, accepting: [200])
        guard reply.isDelimited else {
          throw unusable(.read, name, "the reply has no length")
        }
        if let checksum = checksum(reply.headers), checksum != googleChecksum(reply.body) {
          throw unusable(.read, name, "the object was changed in transit: its CRC-32C differs")
        }
        return try checked(reply.body, limit: limit, of: name)
      } catch let refusal as GCSRefusal where refusal.fault.status == 404 {
        guard try await isListed(key, name) else { return nil }
        throw unusable(.read, name, "the store reports that it does not exist, but lists it")
      }
    }
  }

  package func list(prefix: String, continuing: String?) async throws -> ListPage {
    guard ObjectName.mayBegin(with: prefix) else { return ListPage(entries: [], next: nil) }
    return try await unwrapping {
      let listing = try await page(
        prefix: base + prefix, name: prefix, continuing: continuing, limit: ListPage.entriesMax)
      return try ListPage(
        listed: listing.entries, base: gcs.prefix, prefix: prefix, next: listing.next,
        location: location)
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
      failures.merge(try await delete(keys)) { first, _ in first }
      return failures
    }
  }

  package func now() async throws -> Instant? {
    try await unwrapping {
      _ = try await page(prefix: base, name: "", continuing: nil, limit: 1)
      return clockOffset.map { exchange.now().advanced(byMilliseconds: $0) }
    }
  }

  /// The bucket's owner creates it, and decides on its region, policy and price.
  package func prepare() async throws {}

  // MARK: Listing

  package func folder(_ prefix: String) async throws -> StoreFolder {
    try await unwrapping {
      var folder = StoreFolder()
      var token: String?
      repeat {
        let listing = try await page(
          prefix: base + prefix, name: prefix, continuing: token, limit: ListPage.entriesMax,
          isOneLevel: true)
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

  /// - Parameters:
  ///   - prefix: a prefix of full keys.
  ///   - name: the listed prefix within the repository, for messages.
  func page(
    prefix: String, name: String, continuing: String?, limit: Int, isOneLevel: Bool = false
  ) async throws -> GCSListing {
    var request = GCSRequest(
      action: .list, method: .get, path: "\(bucketPath)/o", object: object(name))
    request.responseBytesMax = GCSListing.bytesMax
    request.query = [
      ("prefix", prefix), ("maxResults", "\(limit)"), ("fields", GCSListing.fields),
    ]
    if let continuing { request.query.append(("pageToken", continuing)) }
    if isOneLevel { request.query.append(("delimiter", "/")) }
    let reply = try await exchange.send(request, accepting: [200])
    do throws(LifeboatError) {
      return try GCSListing(reply.body)
    } catch {
      throw error.during("list \(request.object)")
    }
  }

  private func isListed(_ key: String, _ name: String) async throws -> Bool {
    var next: String?
    repeat {
      let page = try await page(
        prefix: key, name: name, continuing: next, limit: ListPage.entriesMax)
      if page.entries.contains(where: { $0.name == key }) { return true }
      next = page.next
    } while next != nil
    return false
  }

  // MARK: Names and errors

  private var base: String { gcs.prefix.isEmpty ? "" : gcs.prefix + "/" }
  var bucketPath: String { "/storage/v1/b/" + URIEncoding.encode(gcs.bucket) }

  private func key(_ name: String) throws(LifeboatError) -> String {
    _ = try ObjectName.components(name)
    return base + name
  }

  /// Slashes are encoded, too: a name is one segment of the API's path.
  func path(_ key: String) -> String { "\(bucketPath)/o/\(URIEncoding.encode(key))" }

  func object(_ name: String) -> String {
    name.isEmpty ? location : location + "/" + printable(name, limit: 400)
  }

  /// The CRC-32C of a download. It is in one of several `x-goog-hash` headers, or in one together with other
  /// digests.
  private func checksum(_ headers: HTTPHeaders) -> String? {
    for field in headers.fields where field.name.lowercased() == "x-goog-hash" {
      for item in field.value.split(separator: ",") {
        let text = item.drop { $0 == " " }
        if text.hasPrefix("crc32c=") { return String(text.dropFirst("crc32c=".count)) }
      }
    }
    return nil
  }

  private func unusable(_ action: GCSAction, _ name: String, _ cause: String) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, "can't \(action.rawValue) \(object(name))", cause: cause,
      hint: "check the endpoint, and proxies and devices in between", isRetryable: true)
  }

  /// Runs `body` on the client's threads, since it also computes checksums and parses. Turns a refusal into
  /// the operator's error.
  private func unwrapping<Value>(_ body: () async throws -> Value) async throws -> Value {
    do {
      return try await exchange.client.blocking(body)
    } catch let refusal as GCSRefusal {
      throw refusal.error
    }
  }
}
