import BackupTypes
import CloudAuth
import HTTPTransport
import TestSupport
import Testing

/// Helpers for credential tests: a client, settings from a dictionary, a fixed clock.
enum Given {
  static let now: @Sendable () -> Instant = { Instant(seconds: 1_795_356_127) }
  static let later = "2026-11-22T20:02:07Z"

  static func client() throws -> HTTPClient {
    try HTTPClient(
      connectionsMax: 2, limits: HTTPLimits(connect: .seconds(5)),
      trust: TrustStore(file: nil, origin: "a test"), userAgent: "test/1")
  }

  /// Files that `files` does not have are read from the disk.
  static func settings(
    _ environment: [String: String], files: [String: String] = [:]
  ) -> AWSSettings {
    AWSSettings(environment: environment) { path in
      if let text = files[path] { return Array(text.utf8) }
      return path.hasPrefix("/tmp/") ? try AWSSettings.read(path) : nil
    }
  }

  static func json(_ key: String, token: String? = "token", expiration: String? = later) -> String {
    var fields = ["\"AccessKeyId\":\"\(key)\"", "\"SecretAccessKey\":\"secret-of-\(key)\""]
    if let token { fields.append("\"Token\":\"\(token)\"") }
    if let expiration { fields.append("\"Expiration\":\"\(expiration)\"") }
    return "{\"Code\":\"Success\"," + fields.joined(separator: ",") + "}"
  }

  static func sts(_ action: String, _ key: String) -> LoopbackReply {
    LoopbackReply(
      200,
      text: """
        <\(action)Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><\(action)Result>
        <Credentials><AccessKeyId>\(key)</AccessKeyId>
        <SecretAccessKey>secret-of-\(key)</SecretAccessKey><SessionToken>session</SessionToken>
        <Expiration>\(later)</Expiration></Credentials></\(action)Result></\(action)Response>
        """)
  }

  /// The fields of a form body.
  static func form(_ request: LoopbackRequest) -> [String: String] {
    var fields: [String: String] = [:]
    for item in String(decoding: request.body, as: UTF8.self).split(separator: "&") {
      let pair = item.split(separator: "=", maxSplits: 1).compactMap { URIEncoding.decode($0) }
      fields[pair[0]] = pair.count > 1 ? pair[1] : ""
    }
    return fields
  }
}

extension CredentialLookup {
  var credentials: Credentials? {
    if case .found(let credentials) = self { credentials } else { nil }
  }
  var reason: String? {
    if case .notConfigured(let reason, _) = self { reason } else { nil }
  }
}
