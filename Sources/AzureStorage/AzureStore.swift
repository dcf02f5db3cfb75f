package import BackupTypes
package import CloudAuth
package import HTTPTransport
package import ObjectStorage
import Synchronization

/// A repository in a container of Azure Blob Storage.
///
/// Every object is one Put Blob with its checksum and `If-None-Match: *`. Blocks are not used, so none are
/// left behind. An object is absent only if the service says `BlobNotFound`. Other 404s prove nothing.
///
/// An account may have a hierarchical namespace. Its listings include directories and are sorted by path
/// components. They reject a prefix that ends within a name. So every listing here reads a whole directory
/// and keeps only the names that were requested.
package final class AzureStore: BucketStore {
  package let azure: AzureLocation
  package var location: String { azure.description }
  package var pagesAscend: Bool { false }
  package var listsSideBySide: Bool { true }

  let exchange: AzureExchange
  private let md5: @Sendable ([UInt8]) -> String

  /// - Parameters:
  ///   - endpoint: `https://account.blob.core.windows.net`.
  ///   - now: the wall clock.
  ///   - md5: the base64 of the MD5; empty if the system forbids MD5.
  ///   - observe: called for every request, including retries.
  package init(
    _ location: AzureLocation, endpoint: String, client: HTTPClient,
    credentials: CredentialProvider<AzureCredentials>,
    now: @escaping @Sendable () -> Instant,
    md5: @escaping @Sendable ([UInt8]) -> String = contentMD5,
    observe: @escaping @Sendable (RequestObservation) -> Void
  ) {
    azure = location
    self.md5 = md5
    exchange = AzureExchange(
      endpoint: endpoint,
      store: StoreClient(client, credentials: credentials, observe: observe),
      session: AzureSession(), now: now)
  }

  /// The store's clock minus this machine's clock, in milliseconds; nil before the first reply.
  package var clockOffset: Int64? { exchange.session.state.withLock { $0.observedOffset } }

  // MARK: ObjectStore

  package func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    let key = try key(name)
    try checkSize(of: bytes, name)
    return try await unwrapping {
      let sum = AzureChecksum(bytes, md5: md5)
      var request = StoreRequest(
        action: .create, method: .put, path: path(key), object: object(name))
      request.headers = [
        ("x-ms-blob-type", "BlockBlob"), ("If-None-Match", "*"),
        ("Content-Type", "application/octet-stream"), (sum.header, sum.value),
      ]
      request.body = bytes
      let reply: HTTPResponse
      do {
        reply = try await exchange.send(request, accepting: [201])
      } catch let refusal as AzureRefusal {
        guard try await isThere(key, name, after: refusal.fault) else { throw refusal }
        return .exists
      }
      exchange.session.state.withLock {
        $0.keepsVersions = reply.headers["x-ms-version-id"] != nil
      }
      if let stored = reply.headers[sum.header], stored != sum.value {
        // Removed so that a retry does not take the damaged object for ours.
        try await remove(key: key, name: name, tag: reply.headers["ETag"])
        throw unusable("write", name, "the object was changed in transit")
      }
      return .created
    }
  }

  /// Whether a creation was refused because the object already exists.
  private func isThere(_ key: String, _ name: String, after fault: AzureFault) async throws -> Bool
  {
    switch fault.code {
    // `UnauthorizedBlobOverwrite`: a shared access signature that may create, but not write.
    case "BlobAlreadyExists", "UnauthorizedBlobOverwrite": return true
    case "ContainerNotFound", "ContainerBeingDeleted", "ResourceNotFound": return false
    default: break
    }
    // The service may check a policy, a lease or a missing permission before the condition.
    guard [403, 409, 412].contains(fault.status), !fault.isAuthentication, !fault.isClock else {
      return false
    }
    let request = StoreRequest(
      action: .read, method: .head, path: path(key), object: object(name))
    do {
      return !isDirectory(try await exchange.send(request, accepting: [200]).headers)
    } catch let refusal as AzureRefusal {
      guard !refusal.fault.isRetryable else { throw refusal }
      return false
    }
  }

  package func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    let key = try key(name)
    var request = StoreRequest(action: .read, method: .get, path: path(key), object: object(name))
    request.responseBytesMax = max(limit, refusalBytesMax)
    return try await unwrapping {
      do {
        let reply = try await exchange.send(request, accepting: [200])
        if isDirectory(reply.headers) { return nil }
        guard reply.isDelimited else {
          throw unusable("read", name, "the reply has no length")
        }
        if let stored = reply.headers["Content-MD5"] {
          let sum = md5(reply.body)
          guard sum.isEmpty || sum == stored else {
            throw unusable("read", name, "the object was changed in transit: its MD5 differs")
          }
        }
        return try checked(reply.body, limit: limit, of: name)
      } catch let refusal as AzureRefusal where refusal.fault.isAbsence {
        return nil
      }
    }
  }

  package func list(prefix: String, continuing: String?) async throws -> ListPage {
    guard ObjectName.mayBegin(with: prefix) else { return ListPage(entries: [], next: nil) }
    return try await unwrapping {
      let listing = try await page(
        of: prefix, continuing: continuing, limit: ListPage.entriesMax)
      var page = try ListPage(
        listed: listing.entries, base: azure.prefix, prefix: AzureStore.directory(of: prefix),
        next: listing.next, location: location)
      page.entries.removeAll { !$0.name.utf8.starts(with: prefix.utf8) }
      return page
    }
  }

  // MARK: BucketStore

  package var bucketPrefix: String { azure.prefix }
  package var clock: Instant { exchange.now() }

  package func page(
    of prefix: String, continuing: String?, limit: Int, isOneLevel: Bool = false
  ) async throws -> AzureListing {
    var request = StoreRequest(
      action: .list, method: .get, path: containerPath, object: object(prefix))
    let directory = AzureStore.directory(of: prefix)
    request.responseBytesMax = AzureListing.bytesMax
    request.query = [
      ("restype", "container"), ("comp", "list"), ("prefix", base + directory),
      ("maxresults", "\(limit)"),
    ]
    if let continuing { request.query.append(("marker", continuing)) }
    if isOneLevel { request.query.append(("delimiter", "/")) }
    let reply = try await exchange.send(request, accepting: [200])
    do throws(LifeboatError) {
      return try AzureListing(reply.body)
    } catch {
      throw error.during("list \(request.object)")
    }
  }

  /// A prefix up to its last "/". A hierarchical namespace rejects one that ends within a name.
  private static func directory(of prefix: String) -> String {
    let end = prefix.lastIndex(of: "/").map { prefix.index(after: $0) } ?? prefix.startIndex
    return String(prefix[..<end])
  }

  package func unwrapping<Value>(_ body: () async throws -> Value) async throws -> Value {
    do {
      return try await exchange.client.blocking(body)
    } catch let refusal as AzureRefusal {
      throw refusal.error
    }
  }

  // MARK: Names

  var containerPath: String { "/" + URIEncoding.encode(azure.container) }

  /// Slashes are not encoded. Clients and the service sign the path as it was sent.
  func path(_ key: String) -> String {
    "\(containerPath)/\(URIEncoding.encode(key, keepingSlashes: true))"
  }

  /// A directory of a hierarchical namespace can be read like an empty object.
  private func isDirectory(_ headers: HTTPHeaders) -> Bool {
    headers["x-ms-resource-type"]?.lowercased() == "directory"
      || headers["x-ms-meta-hdi_isfolder"]?.lowercased() == "true"
  }
}

extension AzureFault {
  /// The only proof that an object is absent.
  var isAbsence: Bool { status == 404 && code == "BlobNotFound" }
}
