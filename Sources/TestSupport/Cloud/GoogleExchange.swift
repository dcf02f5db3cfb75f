import BackupTypes
import CloudAuth
import FoundationEssentials
import HTTPTransport
import Synchronization
import SystemIO

/// One request to a `GoogleServer`.
struct GoogleExchange {
  let shared: GoogleServer.Shared
  let request: LoopbackRequest

  private static let storageScope = "https://www.googleapis.com/auth/devstorage.read_write"
  private static let platformScope = "https://www.googleapis.com/auth/cloud-platform"

  func action() -> LoopbackAction {
    let setup = shared.state.withLock { $0.setup }
    if let fault = setup.fault(request) { return fault }
    var reply = answer(setup)
    reply.headers.append(("Date", now(setup).httpDate))
    return .reply(reply)
  }

  private func now(_ setup: GoogleServer.Setup) -> Instant {
    SystemClock.now().advanced(byMilliseconds: setup.clockOffset)
  }

  private func answer(_ setup: GoogleServer.Setup) -> LoopbackReply {
    let path = request.path
    if path.hasPrefix("/computeMetadata/") { return metadata(setup) }
    guard request.method == "POST" else { return LoopbackReply(405) }
    if path == "/token" { return token(setup) }
    if path == "/sts" { return exchange(setup) }
    if path.hasSuffix(":generateAccessToken") { return impersonate(setup) }
    return LoopbackReply(404)
  }

  private var form: [String: String] {
    var fields: [String: String] = [:]
    for item in String(decoding: request.body, as: UTF8.self).split(separator: "&") {
      let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      fields[URIEncoding.decode(pair[0]) ?? ""] = URIEncoding.decode(pair.count > 1 ? pair[1] : "")
    }
    return fields
  }

  // MARK: Tokens

  private func issue(_ setup: GoogleServer.Setup) -> String {
    let number = shared.state.withLock { state in
      state.count += 1
      return state.count
    }
    let token = "planted-token-\(number)"
    setup.issued(token)
    return token
  }

  private func given(_ token: String, _ setup: GoogleServer.Setup) -> LoopbackReply {
    LoopbackReply(
      200, headers: [("Content-Type", "application/json"), ("Metadata-Flavor", "Google")],
      text: """
        {"access_token":"\(token)","expires_in":\(setup.lifetimeSeconds),"token_type":"Bearer"}
        """)
  }

  private func refused(
    _ code: String, _ description: String, status: Int = 400
  ) -> LoopbackReply {
    LoopbackReply(
      status, headers: [("Content-Type", "application/json")],
      text: "{\"error\":\"\(code)\",\"error_description\":\"\(description)\"}")
  }

  private func token(_ setup: GoogleServer.Setup) -> LoopbackReply {
    let form = form
    switch form["grant_type"] {
    case "urn:ietf:params:oauth:grant-type:jwt-bearer":
      let check = AssertionCheck(setup: setup, now: now(setup), scope: Self.storageScope)
      if let problem = check.problem(form["assertion"] ?? "") {
        return refused("invalid_grant", problem)
      }
    case "refresh_token":
      guard form["client_id"] == "client", form["client_secret"] == "planted-client-secret" else {
        return refused("invalid_client", "Unauthorized", status: 401)
      }
      guard form["refresh_token"] == setup.refreshToken else {
        return refused("invalid_grant", "Token has been expired or revoked.")
      }
    default: return refused("unsupported_grant_type", "Invalid grant_type")
    }
    return given(issue(setup), setup)
  }

  private func exchange(_ setup: GoogleServer.Setup) -> LoopbackReply {
    let form = form
    guard form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange",
      form["requested_token_type"] == "urn:ietf:params:oauth:token-type:access_token",
      form["subject_token_type"] == "urn:ietf:params:oauth:token-type:jwt"
    else { return refused("invalid_request", "fields are missing") }
    guard form["audience"] == GoogleServer.audience else {
      return refused("invalid_target", "The target service does not exist.")
    }
    guard setup.subjectTokens.contains(form["subject_token"] ?? "") else {
      return refused("invalid_grant", "The given credential is rejected: it has expired.")
    }
    switch form["scope"] {
    case Self.storageScope: return given(issue(setup), setup)
    case Self.platformScope:
      let token = "planted-federated-" + hexadecimal(secureRandomBytes(4))
      shared.state.withLock { _ = $0.federated.insert(token) }
      return given(token, setup)
    default: return refused("invalid_scope", "no such scope")
    }
  }

  private func impersonate(_ setup: GoogleServer.Setup) -> LoopbackReply {
    struct Body: Decodable {
      var scope: [String]
      var lifetime: String
    }
    let token = request["Authorization"].map { String($0.dropFirst("Bearer ".count)) } ?? ""
    guard shared.state.withLock({ $0.federated.contains(token) }) else {
      return FakeGCSServer.error(401, "authError", "Invalid Credentials")
    }
    guard request.path.contains("/serviceAccounts/\(setup.email):") else {
      return FakeGCSServer.error(
        403, "forbidden", "Permission 'iam.serviceAccounts.getAccessToken' denied")
    }
    guard let body = try? JSONDecoder().decode(Body.self, from: Data(request.body)),
      body.scope == [Self.storageScope], body.lifetime == "3600s"
    else { return FakeGCSServer.error(400, "invalid") }
    let end = now(setup).advanced(byMilliseconds: Int64(setup.lifetimeSeconds) * 1000)
    return LoopbackReply(
      200, text: "{\"accessToken\":\"\(issue(setup))\",\"expireTime\":\"\(end)\"}")
  }

  private func metadata(_ setup: GoogleServer.Setup) -> LoopbackReply {
    guard request["Metadata-Flavor"] == "Google" else { return LoopbackReply(403) }
    if request.path == GoogleServer.tokenPath { return given(issue(setup), setup) }
    let flavor = [("Metadata-Flavor", "Google")]
    return request.path.hasSuffix("/default/email")
      ? LoopbackReply(200, headers: flavor, text: setup.email) : LoopbackReply(404, headers: flavor)
  }
}

/// Checks the JWT of a service account as Google does.
private struct AssertionCheck {
  let setup: GoogleServer.Setup
  let now: Instant
  let scope: String

  private struct Header: Decodable {
    var alg: String
    var typ: String
    var kid: String
  }
  private struct Claims: Decodable {
    var iss: String
    var scope: String
    var aud: String
    var iat: Int64
    var exp: Int64
  }

  /// The problem in Google's words; nil if there is none.
  func problem(_ assertion: String) -> String? {
    guard let assertion = ReceivedAssertion<Header, Claims>(assertion),
      assertion.header.alg == "RS256", assertion.header.typ == "JWT"
    else { return "Invalid JWT" }
    let (header, claims) = (assertion.header, assertion.claims)
    guard claims.iss == setup.email else { return "Invalid grant: account not found" }
    guard header.kid == setup.keyID, assertion.isSigned(by: setup.key)
    else { return "Invalid JWT Signature." }
    guard claims.aud == "https://oauth2.googleapis.com/token", claims.scope == scope else {
      return "Invalid JWT: audience or scope"
    }
    let seconds = now.milliseconds / 1000
    guard claims.exp - claims.iat <= 3600, claims.exp > seconds, claims.iat < seconds + 300 else {
      return "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable"
        + " timeframe. Check your iat and exp values in the JWT claim."
    }
    return nil
  }
}
