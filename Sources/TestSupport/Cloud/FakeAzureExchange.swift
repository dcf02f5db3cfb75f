import BackupTypes
import CCrypto
import CloudAuth
import FoundationEssentials
import HTTPTransport
import Synchronization
import SystemIO

/// One request to a `FakeAzureServer`.
struct FakeAzureExchange {
  let shared: FakeAzureServer.Shared
  let request: LoopbackRequest
  var isPart = false

  func action() -> LoopbackAction {
    let setup = shared.state.withLock { $0.setup }
    let work = { dated(answer(setup), setup) }
    // A body without a length is refused.
    if request["Transfer-Encoding"] != nil {
      return .replyAndClose(
        dated(FakeAzureServer.error(411, "MissingContentLengthHeader"), setup))
    }
    switch setup.fault(request) {
    case nil: return .reply(work())
    case .instead(let action): return action
    case .afterwards(let then): return then(work())
    }
  }

  func now(_ setup: FakeAzureServer.Setup) -> Instant {
    SystemClock.now().advanced(byMilliseconds: setup.clockOffset)
  }

  private func dated(_ reply: LoopbackReply, _ setup: FakeAzureServer.Setup) -> LoopbackReply {
    var reply = reply
    reply.headers.append(("Date", now(setup).httpDate))
    if !reply.headers.contains(where: { $0.0 == "x-ms-request-id" }) {
      reply.headers.append(("x-ms-request-id", "0a1b2c-test"))
    }
    reply.headers.append(("x-ms-version", request["x-ms-version"] ?? "2023-11-03"))
    return reply
  }

  /// The container and the name of an object in it, decoded. Either may be absent. The outer nil means that
  /// the address is not one of the account.
  private var target: (container: String?, name: String?)? {
    var path = request.path.dropFirst()
    if request["Host"]?.hasPrefix(FakeAzureServer.account + ".") != true {
      if path == FakeAzureServer.account || path.hasPrefix(FakeAzureServer.account + "/") {
        path = path.dropFirst(FakeAzureServer.account.count + 1)
      } else if !isPart {
        // Clients leave the account out only in a batch.
        return nil
      }
    }
    let parts = path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let container = parts.first, !container.isEmpty else { return (nil, nil) }
    guard parts.count > 1, !parts[1].isEmpty else { return (URIEncoding.decode(container), nil) }
    guard let name = URIEncoding.decode(parts[1]) else { return nil }
    return (URIEncoding.decode(container), name)
  }

  private var query: [(name: String, value: String)] {
    AzureVerification.query(of: request.target)
  }
  func item(_ name: String) -> String? { query.first { $0.name == name }?.value }

  func answer(_ setup: FakeAzureServer.Setup) -> LoopbackReply {
    guard let (container, name) = target else {
      return FakeAzureServer.error(400, "InvalidUri", "The requested URI is not of this account.")
    }
    let verification = AzureVerification(
      setup: setup, now: now(setup), request: request, resourceContainer: container, isPart: isPart)
    let caller: AzureVerification.Caller
    switch verification.caller() {
    case .success(let known): caller = known
    case .failure(let refusal): return refusal.reply
    }
    if item("restype") == "account" {
      return LoopbackReply(
        200,
        headers: [
          ("x-ms-sku-name", "Standard_LRS"), ("x-ms-account-kind", "StorageV2"),
          ("x-ms-is-hns-enabled", setup.isHierarchical ? "true" : "false"),
        ])
    }
    if item("restype") == "service" { return LoopbackReply(200, text: setup.serviceProperties) }
    guard let container else {
      return FakeAzureServer.error(400, "InvalidUri", "A container is missing.")
    }
    let action: String
    switch (request.method, name, item("comp")) {
    case ("PUT", .some, nil): action = "write"
    case ("GET", .some, nil), ("HEAD", .some, nil): action = "read"
    case ("DELETE", .some, nil): action = "delete"
    case ("GET", nil, "list"), ("GET", nil, nil), ("HEAD", nil, nil): action = "list"
    case ("POST", nil, "batch"): action = "batch"
    default: return FakeAzureServer.error(400, "UnsupportedQueryParameter", request.target)
    }
    if let refusal = refusal(of: action, caller, setup) { return refusal }
    guard setup.containers.contains(container) else {
      return FakeAzureServer.error(
        404, "ContainerNotFound", "The specified container does not exist.")
    }
    switch (action, name) {
    case ("write", let name?): return create(container, name, caller, setup)
    case ("read", let name?): return read(container, name)
    case ("delete", let name?): return delete(container, name, setup)
    case ("batch", _): return batch(setup)
    default:
      return item("comp") == "list"
        ? list(container, setup) : LoopbackReply(200, headers: setup.containerHeaders)
    }
  }

  private func refusal(
    of action: String, _ caller: AzureVerification.Caller, _ setup: FakeAzureServer.Setup
  ) -> LoopbackReply? {
    let message = "This request is not authorized to perform this operation using this permission."
    switch caller {
    case .account: return nil
    case .token:
      return setup.denied.contains(action)
        ? FakeAzureServer.error(403, "AuthorizationPermissionMismatch", message) : nil
    case .signature(let permissions):
      let needed: Set<Character> =
        switch action {
        case "write": ["c", "w"]
        case "read": ["r"]
        case "delete": ["d"]
        case "batch": permissions
        default: ["l"]
        }
      return permissions.isDisjoint(with: needed)
        ? FakeAzureServer.error(403, "AuthorizationPermissionMismatch", message) : nil
    }
  }

  private static func sum(_ bytes: [UInt8]) -> String {
    var digest = [UInt8](repeating: 0, count: 16)
    _ = EVP_Digest(bytes, bytes.count, &digest, nil, EVP_md5(), nil)
    return Data(digest).base64EncodedString()
  }

  /// Bit by bit, unlike the code under test.
  private static func crc64(_ bytes: [UInt8]) -> String {
    var crc = UInt64.max
    for byte in bytes {
      crc ^= UInt64(byte)
      for _ in 0..<8 { crc = crc % 2 == 1 ? (crc / 2) ^ 0x9a6c_9329_ac4b_c9b5 : crc / 2 }
    }
    let value = ~crc
    return Data((0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) })
      .base64EncodedString()
  }

  // MARK: Objects

  private func create(
    _ container: String, _ name: String, _ caller: AzureVerification.Caller,
    _ setup: FakeAzureServer.Setup
  ) -> LoopbackReply {
    guard request["x-ms-blob-type"] == "BlockBlob" else {
      return FakeAzureServer.error(400, "MissingRequiredHeader", "x-ms-blob-type")
    }
    guard request["Content-Length"] != nil else {
      return FakeAzureServer.error(411, "MissingContentLengthHeader")
    }
    var content = request.body
    if setup.damagesUploads, !content.isEmpty { content.removeFirst() }
    let sum = FakeAzureExchange.sum(content)
    if setup.checksUploads, let said = request["Content-MD5"], said != sum {
      return FakeAzureServer.error(
        400, "Md5Mismatch", "The MD5 value specified in the request did not match.")
    }
    var headers = [("Content-MD5", sum)]
    if let said = request["x-ms-content-crc64"] {
      guard request["Content-MD5"] == nil else {
        return FakeAzureServer.error(400, "InvalidHeaderValue", "There are two checksums.")
      }
      let crc = FakeAzureExchange.crc64(content)
      if setup.checksUploads, said != crc {
        return FakeAzureServer.error(
          400, "Crc64Mismatch", "The CRC64 value specified in the request did not match.")
      }
      headers.append(("x-ms-content-crc64", crc))
    }
    let full = container + "/" + name
    let isConditional = request["If-None-Match"] == "*"
    var mayOverwrite = true
    if case .signature(let permissions) = caller { mayOverwrite = permissions.contains("w") }
    return shared.state.withLock { state in
      let isThere = state.objects[full] != nil || state.directories.contains(full)
      if isThere {
        if let conflict = setup.conflict {
          return FakeAzureServer.error(conflict.status, conflict.code)
        }
        if !mayOverwrite {
          return FakeAzureServer.error(
            403, "UnauthorizedBlobOverwrite",
            "This request is not authorized to perform blob overwrites.")
        }
        if isConditional {
          return FakeAzureServer.error(
            409, "BlobAlreadyExists", "The specified blob already exists.")
        }
      }
      if setup.isHierarchical {
        for directory in HierarchicalNames.directories(above: full) {
          guard state.objects[directory] == nil else {
            return FakeAzureServer.error(409, "ResourceTypeMismatch", "A file is in the way.")
          }
          state.directories.insert(directory)
        }
      }
      state.creations += 1
      state.made.insert(full)
      let tag = "\"0x8D\(state.creations)\""
      state.objects[full] = FakeAzureServer.Object(
        bytes: content, tag: tag, created: now(setup))
      headers += [
        ("ETag", tag), ("Last-Modified", now(setup).httpDate),
        ("x-ms-request-server-encrypted", "true"),
      ]
      if setup.keepsVersions { headers.append(("x-ms-version-id", "2026-11-28T04:00:00.0000000Z")) }
      return LoopbackReply(201, headers: headers)
    }
  }

  private static func absent() -> LoopbackReply {
    FakeAzureServer.error(404, "BlobNotFound", "The specified blob does not exist.")
  }

  private func read(_ container: String, _ name: String) -> LoopbackReply {
    let full = container + "/" + name
    let (object, isDirectory) = shared.state.withLock {
      ($0.objects[full], $0.directories.contains(full))
    }
    if isDirectory {
      return LoopbackReply(
        200,
        headers: [("x-ms-meta-hdi_isfolder", "true"), ("x-ms-resource-type", "directory")])
    }
    guard let object else { return Self.absent() }
    var headers = [
      ("ETag", object.tag), ("Last-Modified", object.created.httpDate),
      ("x-ms-blob-type", "BlockBlob"), ("Accept-Ranges", "bytes"),
      ("Content-Type", "application/octet-stream"),
    ]
    guard request.method == "GET", let range = request["x-ms-range"] ?? request["Range"],
      range.hasPrefix("bytes=")
    else {
      headers.append(("Content-MD5", Self.sum(object.bytes)))
      return LoopbackReply(200, headers: headers, body: object.bytes)
    }
    let ends = range.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
    let first = ends.first.flatMap { Int($0) } ?? 0
    guard first < object.bytes.count else { return FakeAzureServer.error(416, "InvalidRange") }
    let last = min(
      ends.count > 1 ? Int(ends[1]) ?? .max : .max, object.bytes.count - 1)
    headers.append(("Content-Range", "bytes \(first)-\(last)/\(object.bytes.count)"))
    headers.append(("x-ms-blob-content-md5", Self.sum(object.bytes)))
    if request["x-ms-range-get-content-md5"] == "true" {
      headers.append(("Content-MD5", Self.sum(Array(object.bytes[first...last]))))
    }
    return LoopbackReply(206, headers: headers, body: Array(object.bytes[first...last]))
  }

  private func delete(
    _ container: String, _ name: String, _ setup: FakeAzureServer.Setup
  ) -> LoopbackReply {
    let full = container + "/" + name
    if let code = setup.undeletable[full] {
      return FakeAzureServer.error(code == "LeaseIdMissing" ? 412 : 409, code)
    }
    return shared.state.withLock { state in
      if state.directories.contains(full) {
        let isEmpty =
          !state.objects.keys.contains { $0.hasPrefix(full + "/") }
          && !state.directories.contains { $0.hasPrefix(full + "/") }
        guard isEmpty else {
          return FakeAzureServer.error(
            409, "DirectoryIsNotEmpty", "The directory is not empty.")
        }
        state.directories.remove(full)
        return LoopbackReply(202)
      }
      guard let object = state.objects[full] else { return Self.absent() }
      if let wanted = request["If-Match"], wanted != object.tag {
        return FakeAzureServer.error(412, "ConditionNotMet")
      }
      state.objects[full] = nil
      return LoopbackReply(202)
    }
  }

  private func batch(_ setup: FakeAzureServer.Setup) -> LoopbackReply {
    let type = request["Content-Type"] ?? ""
    guard let start = type.firstRange(of: "boundary="),
      let parts = AzureBatch.requests(
        request.body, boundary: String(type[start.upperBound...].filter { $0 != "\"" }),
        host: request["Host"] ?? ""), parts.count <= 256
    else { return FakeAzureServer.error(400, "InvalidInput", "Malformed batch.") }
    let replies = parts.map { part in
      (
        part.id,
        FakeAzureExchange(shared: shared, request: part.request, isPart: true).answer(setup)
      )
    }
    return AzureBatch.reply(replies)
  }
}
