package import BackupTypes
package import CloudAuth
package import HTTPTransport
package import ObjectStorage
import Synchronization

/// A repository in a bucket of S3, or of a store with the same protocol.
///
/// Uses only plain requests, which every such store understands: each has a Content-Length and a signed
/// SHA-256 of its body. It uses no chunked signatures, checksum trailers or multipart uploads, so no
/// incomplete upload is left behind. Objects are created with `If-None-Match: *`.
///
/// "Not there" is concluded only from a 404 whose body says `NoSuchKey`, and the end of a listing
/// only from a complete page that says so.
package final class S3Store: BucketStore {
  package let s3: S3Location
  package var location: String { s3.description }
  package var listsSideBySide: Bool { true }

  let exchange: S3Exchange
  let session: S3Session

  /// - Parameters:
  ///   - endpoint: nil for AWS's own; checked by `S3Location`.
  ///   - region: where the bucket is, if known; AWS's answer takes precedence.
  ///   - now: the wall clock.
  ///   - observe: called for every request, including retries.
  package init(
    _ location: S3Location, endpoint: String?, region: String?, usesFIPS: Bool = false,
    usesDualStack: Bool = false, client: HTTPClient,
    credentials: CredentialProvider<AWSCredentials>,
    now: @escaping @Sendable () -> Instant,
    observe: @escaping @Sendable (S3Observation) -> Void
  ) {
    s3 = location
    session = S3Session(region: region)
    exchange = S3Exchange(
      address: S3Address(
        location, endpoint: endpoint,
        variant: S3Address.Variant(usesFIPS: usesFIPS, usesDualStack: usesDualStack)),
      store: StoreClient(client, credentials: credentials, observe: observe), session: session,
      now: now)
  }

  // MARK: What was learned

  /// The region for which requests are signed; nil until one is known.
  package var region: String? { session.snapshot.region }
  /// False after the store said that it does not implement `If-None-Match: *`. Only a probe that puts twice
  /// finds a store that silently ignores it.
  package var createsConditionally: Bool { !session.snapshot.lacksConditionalCreate }
  /// The store's clock minus this machine's, in milliseconds; nil before the first answer.
  package var clockOffset: Int64? { session.snapshot.observedOffset }

  // MARK: ObjectStore

  package func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    let key = try key(name)
    try checkSize(of: bytes, name)
    var request = request(.create, .put, key: key, name: name)
    request.body = bytes
    return try await unwrapping {
      var state = session.snapshot
      while true {
        if state.lacksConditionalCreate, try await exists(key, name) { return .exists }
        request.headers = createHeaders(state, bytes)
        do {
          let reply = try await exchange.send(request, accepting: [200, 201, 204, 412])
          // Only a success proves that what was learned was the reason.
          keep(state)
          return reply.status == 412 ? .exists : .created
        } catch let refusal as S3Refusal {
          guard learn(from: refusal.fault, &state) else { throw refusal }
        }
      }
    }
  }

  package func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    var request = request(.read, .get, key: try key(name), name: name)
    request.responseBytesMax = max(limit, refusalBytesMax)
    return try await unwrapping {
      do {
        let reply = try await exchange.send(request, accepting: [200])
        guard reply.isDelimited else {
          throw unusable("read", name, "the reply has no length")
        }
        return try checked(reply.body, limit: limit, of: name)
      } catch let refusal as S3Refusal
        where refusal.fault.status == 404 && refusal.fault.code == "NoSuchKey"
      {
        return nil
      }
    }
  }

  package func delete(
    keys: [(name: String, key: String)]
  ) async throws -> [String: LifeboatError] {
    var failures: [String: LifeboatError] = [:]
    for start in stride(from: 0, to: keys.count, by: S3Deletion.keysMax) {
      let batch = Array(keys[start..<min(start + S3Deletion.keysMax, keys.count)])
      failures.merge(try await delete(batch: batch)) { first, _ in first }
    }
    return failures
  }

  // MARK: Creating

  func createHeaders(_ state: S3Session.State, _ bytes: [UInt8]) -> [(String, String)] {
    var headers = [("Content-Type", "application/octet-stream")]
    if !state.lacksConditionalCreate { headers.append(("If-None-Match", "*")) }
    if state.needsContentMD5 { headers.append(("Content-MD5", contentMD5(bytes))) }
    let encryption = "x-amz-server-side-encryption"
    switch s3.encryption {
    case nil: break
    case .managed: headers.append((encryption, "AES256"))
    case .kms(let algorithm, let key):
      headers.append((encryption, algorithm))
      if let key { headers.append((encryption + "-aws-kms-key-id", key)) }
    }
    if let storageClass = s3.storageClass { headers.append(("x-amz-storage-class", storageClass)) }
    return headers
  }

  /// Whether something was learned from the refusal, so that another attempt makes sense.
  private func learn(from fault: S3Fault, _ state: inout S3Session.State) -> Bool {
    if !state.lacksConditionalCreate, fault.status == 501 {
      state.lacksConditionalCreate = true
      return true
    }
    // "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object
    // Lock parameters", as InvalidRequest; others say MissingContentMD5 or such.
    if !state.needsContentMD5, fault.status == 400,
      (fault.code + fault.message).lowercased().contains("content-md5")
        || fault.code == "MissingContentMD5"
    {
      state.needsContentMD5 = true
      return true
    }
    return false
  }

  private func keep(_ learned: S3Session.State) {
    session.state.withLock { state in
      if learned.lacksConditionalCreate { state.lacksConditionalCreate = true }
      if learned.needsContentMD5 { state.needsContentMD5 = true }
    }
  }

  /// For stores without create-if-absent: not atomic, so a race of two writers is not decided.
  private func exists(_ key: String, _ name: String) async throws -> Bool {
    let head = request(.create, .head, key: key, name: name)
    return try await exchange.send(head, accepting: [200, 404]).status == 200
  }

  // MARK: BucketStore

  package var bucketPrefix: String { s3.prefix }
  package var clock: Instant { exchange.now() }

  package func page(
    of prefix: String, continuing: String?, limit: Int, isOneLevel: Bool
  ) async throws -> S3Listing {
    var request = request(.list, .get, key: nil, name: prefix)
    request.responseBytesMax = S3Listing.bytesMax
    request.query = [
      ("list-type", "2"), ("max-keys", "\(limit)"), ("prefix", base + prefix),
    ]
    if let continuing { request.query.append(("continuation-token", continuing)) }
    if isOneLevel { request.query.append(("delimiter", "/")) }
    var encoded = request
    encoded.query.append(("encoding-type", "url"))
    let listing = try read(try await exchange.send(encoded, accepting: [200]), of: request)
    guard listing.isAmbiguous else { return listing }
    // Without URL encoding a plus is unambiguous, but a key with control characters is not valid XML.
    let plain = try await exchange.send(request, accepting: [200])
    return (try? read(plain, of: request)) ?? listing
  }

  private func read(_ reply: HTTPResponse, of request: S3Request) throws -> S3Listing {
    do throws(LifeboatError) {
      return try S3Listing(reply.body)
    } catch {
      throw error.during("list \(request.object)")
    }
  }

  func request(
    _ action: StoreAction, _ method: HTTPRequest.Method, key: String?, name: String
  ) -> S3Request {
    S3Request(action: action, method: method, key: key, object: object(name))
  }

  package func unwrapping<Value>(_ body: () async throws -> Value) async throws -> Value {
    do {
      return try await exchange.client.blocking(body)
    } catch let refusal as S3Refusal {
      throw refusal.error
    }
  }
}
