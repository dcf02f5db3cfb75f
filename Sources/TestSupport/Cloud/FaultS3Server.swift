import BackupTypes
import CloudAuth
import Codec
import HTTPTransport
import Synchronization
import SystemIO

/// A small S3 on loopback: path style, one region, in memory. It is as strict as AWS about signatures, the
/// payload's digest, dates and regions. A test can make it fail in many ways.
package final class FaultS3Server: TestStoreServer {
  package enum ConditionalCreate: Sendable { case honoured, notImplemented, ignored }

  package enum Fault: Sendable {
    /// Replaces the reply. The work is not done.
    case instead(LoopbackAction)
    /// The work is done, and then this happens to the reply.
    case afterwards(@Sendable (LoopbackReply) -> LoopbackAction)
  }

  /// What a test may set. The server reads it for every request.
  package struct Setup: Sendable {
    package var buckets: Set<String> = ["bucket"]
    package var region = "us-east-1"
    /// By access key. If there is a session token, the client must send it, too.
    package var keys: [String: (secret: String, token: String?)] = [
      FaultS3Server.accessKey: (FaultS3Server.secretKey, nil)
    ]
    package var expiredKeys: Set<String> = []
    /// By method (`PUT`) or query item (`list-type`, `delete`): refused with AccessDenied.
    package var denied: Set<String> = []
    /// The offset of the server's clock.
    package var clockOffset: Int64 = 0
    package var conditionalCreate = ConditionalCreate.honoured
    package var demandsContentMD5 = false
    /// Like a bucket policy that denies PutObject without If-None-Match.
    package var deniesOverwriting = false
    package var takesBatchDelete = true
    package var allowsAnonymous = false
    /// Changes a request in transit, before anything is checked.
    package var tamper: @Sendable (inout LoopbackRequest) -> Void = { _ in }
    /// Decides the fault for each request that got this far. The first one is number 1.
    package var fault: @Sendable (LoopbackRequest) -> Fault? = { _ in nil }
    /// Keys whose deletion in a batch fails with `undeletableCode`.
    package var undeletable: Set<String> = []
    package var undeletableCode = "InternalError"
    package init() {}
  }

  struct Object: Sendable {
    var bytes: [UInt8]
    var modified: Instant
    var headers: [String: String]
  }

  package static let accessKey = "AKIATESTTESTTESTTEST"
  package static let secretKey = "planted/Secret+Access/Key0123456789abcd"

  package let server: LoopbackServer
  private let setup: Shared

  final class Shared: Sendable {
    struct State {
      var setup = Setup()
      /// By "bucket/key".
      var objects: [String: Object] = [:]
      var puts = 0
      var overwrites = 0
    }
    let state = Mutex(State())
  }

  package init(_ change: (inout Setup) -> Void = { _ in }) throws {
    let shared = Shared()
    setup = shared
    shared.state.withLock { change(&$0.setup) }
    server = try LoopbackServer { request in
      var request = request
      shared.state.withLock { $0.setup.tamper }(&request)
      return FaultS3Exchange(shared: shared, request: request).action()
    }
  }

  package var url: String { server.url }
  package func change(_ change: (inout Setup) -> Void) {
    setup.state.withLock { change(&$0.setup) }
  }
  /// The sorted names of all objects, with their buckets.
  package var names: [String] { setup.state.withLock { $0.objects.keys.sorted() } }
  package func content(_ name: String) -> [UInt8]? {
    setup.state.withLock { $0.objects[name]?.bytes }
  }
  /// The headers with which an object was stored, by lower-case name.
  package func headers(_ name: String) -> [String: String]? {
    setup.state.withLock { $0.objects[name]?.headers }
  }
  /// How often an object was stored, including overwrites.
  package var puts: Int { setup.state.withLock { $0.puts } }

  /// How often an object replaced one of the same name.
  package var repetitions: Int { setup.state.withLock { $0.overwrites } }

  /// The text of an error reply.
  package static func error(
    _ status: Int, _ code: String, _ message: String = "for a test", extra: String = "",
    headers: [(String, String)] = []
  ) -> LoopbackReply {
    LoopbackReply(
      status, headers: headers + [("Content-Type", "application/xml")],
      text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>\(code)</Code>"
        + "<Message>\(message)</Message>\(extra)<RequestId>4442587FB7D0A2F9</RequestId></Error>")
  }
}

/// One request to a `FaultS3Server`.
struct FaultS3Exchange {
  let shared: FaultS3Server.Shared
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

  private func dated(_ reply: LoopbackReply, _ setup: FaultS3Server.Setup) -> LoopbackReply {
    var reply = reply
    reply.headers.append(("Date", now(setup).httpDate))
    return reply
  }

  private func now(_ setup: FaultS3Server.Setup) -> Instant {
    SystemClock.now().advanced(byMilliseconds: setup.clockOffset)
  }

  private var query: [(String, String)] {
    let text = request.target.split(separator: "?", maxSplits: 1).dropFirst().first ?? ""
    return text.split(separator: "&").map { item in
      let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return (
        URIEncoding.decode(pair[0]) ?? "", URIEncoding.decode(pair.count > 1 ? pair[1] : "") ?? ""
      )
    }
  }

  private func answer(_ setup: FaultS3Server.Setup) -> LoopbackReply {
    let query = query
    let path = URIEncoding.decode(request.path.dropFirst()) ?? ""
    let parts = path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let bucket = String(parts.first ?? "")
    let key = parts.count > 1 ? String(parts[1]) : ""
    if let refusal = S3Verification(request: request, query: query, setup: setup, now: now(setup))
      .refusal()
    {
      return refusal
    }
    guard setup.buckets.contains(bucket) else {
      return FaultS3Server.error(404, "NoSuchBucket", "The specified bucket does not exist")
    }
    if setup.denied.contains(request.method)
      || query.contains(where: { setup.denied.contains($0.0) })
    {
      return FaultS3Server.error(403, "AccessDenied", "Access Denied")
    }
    let name = bucket + "/" + key
    switch (request.method, key.isEmpty) {
    case ("PUT", false): return put(name, setup)
    case ("GET", false):
      guard let object = object(name) else {
        return FaultS3Server.error(404, "NoSuchKey", "The specified key does not exist.")
      }
      return LoopbackReply(200, body: object.bytes)
    case ("HEAD", false):
      return object(name).map { LoopbackReply(200, body: $0.bytes) } ?? LoopbackReply(404)
    case ("DELETE", false):
      shared.state.withLock { _ = $0.objects.removeValue(forKey: name) }
      return LoopbackReply(204)
    case ("GET", true): return list(bucket, query)
    case ("POST", true): return delete(bucket, setup)
    default: return FaultS3Server.error(405, "MethodNotAllowed")
    }
  }

  private func object(_ name: String) -> FaultS3Server.Object? {
    shared.state.withLock { $0.objects[name] }
  }

  private func put(_ name: String, _ setup: FaultS3Server.Setup) -> LoopbackReply {
    let isConditional = request["If-None-Match"] == "*"
    if isConditional, setup.conditionalCreate == .notImplemented {
      return FaultS3Server.error(
        501, "NotImplemented", "A header you provided implies functionality not implemented")
    }
    if setup.deniesOverwriting, !isConditional {
      return FaultS3Server.error(403, "AccessDenied", "Access Denied")
    }
    if setup.demandsContentMD5, request["Content-MD5"] == nil {
      return FaultS3Server.error(
        400, "InvalidRequest",
        "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with"
          + " Object Lock parameters")
    }
    let headers = Dictionary(
      request.headers.map { ($0.name.lowercased(), $0.value) }
    ) { first, _ in first }
    let object = FaultS3Server.Object(bytes: request.body, modified: now(setup), headers: headers)
    let isStored = shared.state.withLock { state in
      if isConditional, setup.conditionalCreate == .honoured, state.objects[name] != nil {
        return false
      }
      if state.objects[name] != nil { state.overwrites += 1 }
      state.objects[name] = object
      state.puts += 1
      return true
    }
    return isStored
      ? LoopbackReply(200, headers: [("ETag", "\"0\"")])
      : FaultS3Server.error(
        412, "PreconditionFailed", "At least one of the pre-conditions did not hold")
  }

  private func list(_ bucket: String, _ query: [(String, String)]) -> LoopbackReply {
    func item(_ name: String) -> String? { query.first { $0.0 == name }?.1 }
    let prefix = bucket + "/" + (item("prefix") ?? "")
    let after = item("continuation-token").flatMap { bytes(hexadecimal: $0) } ?? []
    let limit = min(1000, item("max-keys").flatMap { Int($0) } ?? 1000)
    let isEncoded = item("encoding-type") == "url"
    let all = shared.state.withLock { $0.objects }
      .filter {
        $0.key.utf8.starts(with: prefix.utf8) && after.lexicographicallyPrecedes($0.key.utf8)
      }
      .sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    text += "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
    text += "<Name>\(bucket)</Name>" + (isEncoded ? "<EncodingType>url</EncodingType>" : "")
    for (name, object) in all.prefix(limit) {
      let key = String(name.dropFirst(bucket.count + 1))
      text += "<Contents><Key>\(isEncoded ? encodedKey(key) : escaped(key))</Key>"
      text += "<LastModified>\(object.modified)</LastModified><Size>\(object.bytes.count)</Size>"
      text += "<StorageClass>STANDARD</StorageClass></Contents>"
    }
    let isTruncated = all.count > limit
    text += "<IsTruncated>\(isTruncated)</IsTruncated>"
    if isTruncated {
      let token = hexadecimal(all[limit - 1].key.utf8)
      text += "<NextContinuationToken>\(token)</NextContinuationToken>"
    }
    return LoopbackReply(200, text: text + "</ListBucketResult>")
  }

  /// As AWS does it, according to others' measurements: a space becomes "+".
  private func encodedKey(_ key: String) -> String {
    URIEncoding.encode(key, keepingSlashes: true).split(
      separator: "%20", omittingEmptySubsequences: false
    ).joined(separator: "+")
  }

  private func escaped(_ text: String) -> String {
    text.reduce(into: "") { result, character in
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      default: result.append(character)
      }
    }
  }

  private func delete(_ bucket: String, _ setup: FaultS3Server.Setup) -> LoopbackReply {
    guard setup.takesBatchDelete else { return FaultS3Server.error(501, "NotImplemented") }
    guard request["Content-MD5"] != nil else {
      return FaultS3Server.error(400, "InvalidRequest", "Missing required header: Content-MD5")
    }
    guard let root = try? XMLElement(parsing: request.body) else {
      return FaultS3Server.error(400, "MalformedXML")
    }
    var text = "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
    for object in root.all("Object") {
      let key = object["Key"]?.text ?? ""
      if setup.undeletable.contains(key) {
        text += "<Error><Key>\(escaped(key))</Key><Code>\(setup.undeletableCode)</Code>"
        text += "<Message>for a test</Message></Error>"
      } else {
        shared.state.withLock { _ = $0.objects.removeValue(forKey: bucket + "/" + key) }
      }
    }
    return LoopbackReply(200, text: text + "</DeleteResult>")
  }
}
