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
package final class GCSStore: BucketStore {
  package let gcs: GCSLocation
  package var location: String { gcs.description }
  package var listsSideBySide: Bool { true }

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
      endpoint: endpoint,
      store: StoreClient(client, credentials: credentials, observe: observe),
      session: GCSSession(), now: now)
  }

  /// The store's clock minus this machine's, in milliseconds; nil before the first answer.
  package var clockOffset: Int64? { exchange.session.observedOffset.withLock { $0 } }

  // MARK: ObjectStore

  package func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    let key = try key(name)
    try checkSize(of: bytes, name)
    return try await unwrapping {
      let upload = try GCSUpload(
        key: key, content: bytes, boundary: hexadecimal(secureRandomBytes(16)))
      var request = StoreRequest(
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
        throw unusable("write", name, "the reply is not a valid reply to an upload")
      }
      guard upload.matches(stored, count: bytes.count) else {
        // Removed so that a retry does not take the damaged object for ours.
        try await remove(key: key, name: name, generation: stored.generation)
        throw unusable("write", name, "the object was changed in transit")
      }
      return .created
    }
  }

  package func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    let key = try key(name)
    var request = StoreRequest(
      action: .read, method: .get, path: path(key), query: [("alt", "media")], object: object(name))
    request.responseBytesMax = max(limit, refusalBytesMax)
    return try await unwrapping {
      do {
        let reply = try await exchange.send(request, accepting: [200])
        guard reply.isDelimited else {
          throw unusable("read", name, "the reply has no length")
        }
        if let checksum = checksum(reply.headers), checksum != googleChecksum(reply.body) {
          throw unusable("read", name, "the object was changed in transit: its CRC-32C differs")
        }
        return try checked(reply.body, limit: limit, of: name)
      } catch let refusal as GCSRefusal where refusal.fault.status == 404 {
        guard try await isListed(key, name) else { return nil }
        throw unusable("read", name, "the store reports that it does not exist, but lists it")
      }
    }
  }

  // MARK: BucketStore

  package var bucketPrefix: String { gcs.prefix }
  package var clock: Instant { exchange.now() }

  package func page(
    of prefix: String, continuing: String?, limit: Int, isOneLevel: Bool = false
  ) async throws -> GCSListing {
    var request = StoreRequest(
      action: .list, method: .get, path: "\(bucketPath)/o", object: object(prefix))
    request.responseBytesMax = GCSListing.bytesMax
    request.query = [
      ("prefix", base + prefix), ("maxResults", "\(limit)"), ("fields", GCSListing.fields),
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

  package func unwrapping<Value>(_ body: () async throws -> Value) async throws -> Value {
    do {
      return try await exchange.client.blocking(body)
    } catch let refusal as GCSRefusal {
      throw refusal.error
    }
  }

  private func isListed(_ key: String, _ name: String) async throws -> Bool {
    var next: String?
    repeat {
      let page = try await page(of: name, continuing: next, limit: ListPage.entriesMax)
      if page.entries.contains(where: { $0.name == key }) { return true }
      next = page.next
    } while next != nil
    return false
  }

  // MARK: Names

  var bucketPath: String { "/storage/v1/b/" + URIEncoding.encode(gcs.bucket) }

  /// Slashes are encoded, too: a name is one segment of the API's path.
  func path(_ key: String) -> String { "\(bucketPath)/o/\(URIEncoding.encode(key))" }

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
}
