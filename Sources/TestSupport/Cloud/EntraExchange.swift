import BackupTypes
import CCrypto
import CloudAuth
import FoundationEssentials
import HTTPTransport
import Synchronization
import SystemIO

/// One request to an `EntraServer`.
struct EntraExchange {
  let shared: EntraServer.Shared
  let request: LoopbackRequest

  private static let resource = "https://storage.azure.com"

  func action() -> LoopbackAction {
    let setup = shared.state.withLock { $0.setup }
    if let fault = setup.fault(request) { return fault }
    var reply = answer(setup)
    reply.headers.append(("Date", now(setup).httpDate))
    return .reply(reply)
  }

  private func now(_ setup: EntraServer.Setup) -> Instant {
    SystemClock.now().advanced(byMilliseconds: setup.clockOffset)
  }

  private func answer(_ setup: EntraServer.Setup) -> LoopbackReply {
    switch request.path {
    case "/\(EntraServer.tenant)/oauth2/v2.0/token":
      return request.method == "POST" ? token(setup) : LoopbackReply(405)
    case "/metadata/identity/oauth2/token":
      return machine(setup, version: "2018-02-01") {
        $0["Metadata"] == "true"
      }
    case "/msi/token":
      return machine(setup, version: "2019-08-01") {
        $0["X-IDENTITY-HEADER"] == EntraServer.header
      }
    case "/arc/token": return arc(setup)
    default:
      return request.path.hasSuffix("/oauth2/v2.0/token")
        ? refused("invalid_request", "AADSTS90002: Tenant not found.") : LoopbackReply(404)
    }
  }

  private static func fields(_ text: some StringProtocol) -> [String: String] {
    var fields: [String: String] = [:]
    for item in text.split(separator: "&") {
      let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      fields[URIEncoding.decode(pair[0]) ?? ""] = URIEncoding.decode(pair.count > 1 ? pair[1] : "")
    }
    return fields
  }

  // MARK: The token endpoint

  private func refused(_ code: String, _ description: String, status: Int = 400) -> LoopbackReply {
    LoopbackReply(
      status, headers: [("Content-Type", "application/json")],
      text: """
        {"error":"\(code)","error_description":"\(description)\\r\\nTrace ID: 1\\r\\nNow"}
        """)
  }

  private func issue(_ setup: EntraServer.Setup, textual: Bool = false) -> LoopbackReply {
    let number = shared.state.withLock { state in
      state.count += 1
      return state.count
    }
    let token = "planted-token-\(number)"
    let end = now(setup).advanced(byMilliseconds: Int64(setup.lifetimeSeconds) * 1000)
    setup.issued(token, end)
    let life = textual ? "\"\(setup.lifetimeSeconds)\"" : "\(setup.lifetimeSeconds)"
    return LoopbackReply(
      200, headers: [("Content-Type", "application/json")],
      text: """
        {"token_type":"Bearer","expires_in":\(life),"ext_expires_in":\(life),"access_token":"\(token)"}
        """)
  }

  private func token(_ setup: EntraServer.Setup) -> LoopbackReply {
    let form = Self.fields(String(decoding: request.body, as: UTF8.self))
    guard request["Content-Type"] == "application/x-www-form-urlencoded",
      form["grant_type"] == "client_credentials", form["scope"] == Self.resource + "/.default"
    else {
      return refused(
        "invalid_request",
        "AADSTS900144: The request body is not the expected one.")
    }
    guard form["client_id"] == EntraServer.clientID else {
      return refused(
        "unauthorized_client",
        "AADSTS700016: Application was not found in the directory.")
    }
    if let secret = form["client_secret"] {
      return secret == setup.secret
        ? issue(setup)
        : refused("invalid_client", "AADSTS7000215: Invalid client secret provided.", status: 401)
    }
    guard
      form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      let assertion = form["client_assertion"]
    else {
      return refused(
        "invalid_client",
        "AADSTS7000218: There is no"
          + " client_assertion.", status: 401)
    }
    if setup.federated.contains(assertion) { return issue(setup) }
    if assertion.hasPrefix("planted-") {
      return refused(
        "invalid_client", "AADSTS700024: Client assertion is not within its valid time range.",
        status: 401)
    }
    let check = EntraAssertion(setup: setup, now: now(setup), audience: server() + request.path)
    if let problem = check.problem(assertion) {
      return refused("invalid_client", problem, status: 401)
    }
    return issue(setup)
  }

  /// The server's address, as the client used it.
  private func server() -> String { "http://" + (request["Host"] ?? "") }

  // MARK: The machine's

  private func machine(
    _ setup: EntraServer.Setup, version: String, _ isAllowed: (LoopbackRequest) -> Bool
  ) -> LoopbackReply {
    let query = Self.fields(request.target.drop { $0 != "?" }.dropFirst())
    guard request.method == "GET", isAllowed(request), query["api-version"] == version,
      query["resource"] == Self.resource
    else { return refused("invalid_request", "Required metadata header not specified") }
    guard !setup.identities.isEmpty else {
      return refused("invalid_request", "Identity not found")
    }
    if let wanted = query["client_id"] {
      guard setup.identities.contains(wanted) else {
        return refused("invalid_request", "Identity not found")
      }
    } else if setup.identities.count > 1 {
      return refused(
        "invalid_request", "Multiple user assigned identities exist, please specify the clientId")
    }
    return issue(setup, textual: true)
  }

  private func arc(_ setup: EntraServer.Setup) -> LoopbackReply {
    guard let proof = request["Authorization"] else {
      return LoopbackReply(
        401, headers: [("WWW-Authenticate", "Basic realm=\(setup.arcFile)")])
    }
    guard proof == "Basic " + setup.arcSecret else { return LoopbackReply(403) }
    return machine(setup, version: "2020-06-01") { $0["Metadata"] == "true" }
  }
}

/// Checks a certificate's assertion as Entra does.
private struct EntraAssertion {
  let setup: EntraServer.Setup
  let now: Instant
  let audience: String

  private struct Header: Decodable {
    var alg: String
    var typ: String
    var x5t: String
  }
  private struct Claims: Decodable {
    var aud: String
    var exp: Int64
    var iat: Int64
    var iss: String
    var jti: String
    var sub: String
  }

  /// The problem in Entra's words; nil if there is none.
  func problem(_ assertion: String) -> String? {
    guard let assertion = ReceivedAssertion<Header, Claims>(assertion),
      assertion.header.alg == "RS256", assertion.header.typ == "JWT",
      !assertion.claims.jti.isEmpty
    else { return "AADSTS50027: JWT token is invalid or malformed." }
    let (header, claims) = (assertion.header, assertion.claims)
    let thumbprints = setup.certificates.map { thumbprint($0) }
    guard thumbprints.contains(fromBase64URL(header.x5t).map { Array($0) } ?? []),
      assertion.isSigned(by: setup.key)
    else { return "AADSTS700027: Client assertion contains an invalid signature." }
    guard claims.aud == audience, claims.iss == EntraServer.clientID, claims.sub == claims.iss
    else {
      return "AADSTS700023: Client assertion audience claim does not match."
    }
    let seconds = now.milliseconds / 1000
    guard claims.exp - claims.iat <= 600, claims.exp > seconds, claims.iat < seconds + 300 else {
      return "AADSTS700024: Client assertion is not within its valid time range."
    }
    return nil
  }

  private func thumbprint(_ der: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 20)
    _ = EVP_Digest(der, der.count, &digest, nil, EVP_sha1(), nil)
    return digest
  }
}
