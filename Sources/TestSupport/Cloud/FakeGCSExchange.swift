import BackupTypes
import CloudAuth
import Codec
import FoundationEssentials
import HTTPTransport
import Synchronization
import SystemIO

/// One request to a `FakeGCSServer`.
struct FakeGCSExchange {
  let shared: FakeGCSServer.Shared
  let request: LoopbackRequest

  func action() -> LoopbackAction {
    let setup = shared.state.withLock { $0.setup }
    let work = { dated(answer(setup), setup) }
    switch setup.fault(request) {
    case nil: return .reply(work())
    case .instead(let action): return action
    case .afterwards(let then): return then(work())
    }
  }

  private func now(_ setup: FakeGCSServer.Setup) -> Instant {
    SystemClock.now().advanced(byMilliseconds: setup.clockOffset)
  }

  private func dated(_ reply: LoopbackReply, _ setup: FakeGCSServer.Setup) -> LoopbackReply {
    var reply = reply
    reply.headers.append(("Date", now(setup).httpDate))
    return reply
  }

  /// The path is split before decoding, since a name is one segment with encoded slashes.
  private var segments: [String] {
    request.path.split(separator: "/").map { URIEncoding.decode($0) ?? "" }
  }

  private func item(_ name: String) -> String? {
    let query = request.target.split(separator: "?", maxSplits: 1).dropFirst().first ?? ""
    for item in query.split(separator: "&") {
      let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if URIEncoding.decode(pair[0]) == name {
        return URIEncoding.decode(pair.count > 1 ? pair[1] : "")
      }
    }
    return nil
  }

  private func answer(_ setup: FakeGCSServer.Setup) -> LoopbackReply {
    var segments = segments
    let isUpload = segments.first == "upload"
    if isUpload { segments.removeFirst() }
    if request.method == "GET", segments.count == 4, segments[2] == "b" {
      return refusal(setup, "storage.buckets.get") ?? LoopbackReply(200, text: setup.bucketRules)
    }
    guard segments.count >= 5, Array(segments[0...2]) == ["storage", "v1", "b"], segments[4] == "o"
    else { return LoopbackReply(404, text: "<html>Not Found</html>") }
    let bucket = segments[3]
    let key = segments.count > 5 ? segments[5] : nil
    let permission: String
    switch (request.method, isUpload, key) {
    case ("POST", true, nil): permission = "storage.objects.create"
    case ("GET", false, nil): permission = "storage.objects.list"
    case ("GET", false, .some) where item("alt") == "media": permission = "storage.objects.get"
    case ("DELETE", false, .some): permission = "storage.objects.delete"
    default: return FakeGCSServer.error(400, "invalid")
    }
    if let refusal = refusal(setup, permission) { return refusal }
    guard setup.buckets.contains(bucket) else {
      // Google also gives this reply for a missing bucket.
      return key.map { missing(bucket, $0) }
        ?? FakeGCSServer.error(404, "notFound", "The specified bucket does not exist.")
    }
    switch request.method {
    case "POST": return create(bucket, setup)
    case "DELETE": return delete(bucket, key!)
    default: return key.map { read(bucket, $0) } ?? list(bucket, setup)
    }
  }

  private func refusal(_ setup: FakeGCSServer.Setup, _ permission: String) -> LoopbackReply? {
    guard let header = request["Authorization"] else {
      return setup.allowsAnonymous
        ? nil
        : FakeGCSServer.error(
          401, "required", "Anonymous caller does not have \(permission) access.")
    }
    guard header.hasPrefix("Bearer "), setup.tokens.contains(String(header.dropFirst(7))) else {
      return FakeGCSServer.error(401, "authError", "Invalid Credentials")
    }
    return setup.denied.contains(permission)
      ? FakeGCSServer.error(
        403, "forbidden", "tester@project does not have \(permission) access to the object.") : nil
  }

  /// A refused download gets a plain text reply. Here, a refused deletion does, too.
  private func missing(_ bucket: String, _ key: String) -> LoopbackReply {
    request.method == "GET"
      ? LoopbackReply(
        404, headers: [("Content-Type", "text/html; charset=UTF-8")],
        text: "No such object: \(bucket)/\(key)")
      : FakeGCSServer.error(404, "notFound", "No such object")
  }

  private func create(_ bucket: String, _ setup: FakeGCSServer.Setup) -> LoopbackReply {
    guard item("uploadType") == "multipart", item("ifGenerationMatch") == "0",
      var upload = MultipartUpload(request)
    else { return FakeGCSServer.error(400, "badRequest", "Malformed multipart body.") }
    if setup.damagesUploads, !upload.content.isEmpty { upload.content.removeFirst() }
    let sum = FakeGCSExchange.checksum(upload.content)
    guard !setup.checksUploads || upload.crc32c == sum else {
      return FakeGCSServer.error(
        400, "invalid", "Provided CRC32C does not match calculated CRC32C")
    }
    let name = bucket + "/" + upload.name
    let created = now(setup)
    let generation = shared.state.withLock { state -> Int? in
      guard state.objects[name] == nil else { return nil }
      state.creations += 1
      state.made.insert(name)
      let generation = 1_795_000_000_000_000 + state.creations
      state.objects[name] = FakeGCSServer.Object(
        bytes: upload.content, generation: generation, created: created)
      return generation
    }
    guard let generation else {
      if setup.replacingIsDenied {
        return FakeGCSServer.error(
          403, "forbidden",
          "tester@project does not have storage.objects.delete access to the object.")
      }
      return FakeGCSServer.error(
        412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
    }
    return LoopbackReply(
      200,
      text: """
        {"generation":"\(generation)","size":"\(upload.content.count)","crc32c":"\(sum)"}
        """)
  }

  private func read(_ bucket: String, _ key: String) -> LoopbackReply {
    guard let object = shared.state.withLock({ $0.objects[bucket + "/" + key] }) else {
      return missing(bucket, key)
    }
    return LoopbackReply(
      200,
      headers: [
        ("x-goog-hash", "crc32c=" + FakeGCSExchange.checksum(object.bytes)),
        ("x-goog-hash", "md5=AAAA"),
      ], body: object.bytes)
  }

  private func delete(_ bucket: String, _ key: String) -> LoopbackReply {
    let wanted = item("ifGenerationMatch").flatMap { Int($0) }
    return shared.state.withLock { state in
      guard let object = state.objects[bucket + "/" + key] else { return missing(bucket, key) }
      guard wanted == nil || wanted == object.generation else {
        return FakeGCSServer.error(412, "conditionNotMet")
      }
      state.objects[bucket + "/" + key] = nil
      return LoopbackReply(204)
    }
  }

  private func list(_ bucket: String, _ setup: FakeGCSServer.Setup) -> LoopbackReply {
    struct Item: Encodable {
      var name: String
      var size: String
      var timeCreated: String
    }
    struct Page: Encodable {
      var kind = "storage#objects"
      var nextPageToken: String?
      var items: [Item]?
    }
    let prefix = bucket + "/" + (item("prefix") ?? "")
    let after = item("pageToken").flatMap { bytes(hexadecimal: $0) } ?? []
    let limit = min(setup.pageMax, item("maxResults").flatMap { Int($0) } ?? 1000)
    let all = shared.state.withLock { $0.objects }
      .filter {
        $0.key.utf8.starts(with: prefix.utf8) && after.lexicographicallyPrecedes($0.key.utf8)
      }
      .sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    let items = all.prefix(limit).map { name, object in
      Item(
        name: String(name.dropFirst(bucket.count + 1)), size: "\(object.bytes.count)",
        timeCreated: object.created.description)
    }
    var page = Page(items: items.isEmpty ? nil : items)
    if all.count > limit { page.nextPageToken = hexadecimal(all[limit - 1].key.utf8) }
    return LoopbackReply(200, body: Array((try? JSONEncoder().encode(page)) ?? Data()))
  }

  /// The CRC-32C as Google writes it.
  static func checksum(_ bytes: [UInt8]) -> String {
    let sum = CRC32C.checksum(bytes)
    return Data((0..<4).map { UInt8(truncatingIfNeeded: sum >> (24 - 8 * $0)) })
      .base64EncodedString()
  }
}

/// A `multipart/related` body: the metadata, then the content.
private struct MultipartUpload {
  var name: String
  var crc32c: String
  var content: [UInt8]

  init?(_ request: LoopbackRequest) {
    struct Metadata: Decodable {
      var name: String
      var crc32c: String
    }
    let type = request["Content-Type"] ?? ""
    guard type.hasPrefix("multipart/related;"), let start = type.firstRange(of: "boundary=") else {
      return nil
    }
    let boundary = "--" + type[start.upperBound...]
    let (head, tail) = (Array((boundary + "\r\n").utf8), Array(("\r\n" + boundary + "--\r\n").utf8))
    let (middle, blank) = (Array(("\r\n" + boundary + "\r\n").utf8), Array("\r\n\r\n".utf8))
    let body = request.body
    // The headers of the content are within the first 4 KiB, so a long body is not searched.
    let front = body.prefix(4096)
    guard body.starts(with: head), body.suffix(tail.count).elementsEqual(tail),
      let firstBlank = front.firstRange(of: blank),
      let next = front[firstBlank.upperBound...].firstRange(of: middle),
      let secondBlank = front[next.upperBound...].firstRange(of: blank),
      let metadata = try? JSONDecoder().decode(
        Metadata.self, from: Data(front[firstBlank.upperBound..<next.lowerBound]))
    else { return nil }
    name = metadata.name
    crc32c = metadata.crc32c
    content = Array(body[secondBlank.upperBound..<(body.count - tail.count)])
  }
}
