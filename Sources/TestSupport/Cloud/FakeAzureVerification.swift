import BackupTypes
import CloudAuth
import Codec
import FoundationEssentials
import HTTPTransport
import SystemIO

/// Checks who sent a request, as Azure does. It works on the raw target of the request, with code of its own.
struct AzureVerification {
  enum Caller {
    case account
    case token
    /// A shared access signature, with its permissions.
    case signature(Set<Character>)
  }

  let setup: FakeAzureServer.Setup
  let now: Instant
  let request: LoopbackRequest
  /// Still encoded. It contains the account if the request's path does.
  let resourceContainer: String?
  /// A part of a batch has no version of its own.
  var isPart = false

  static let allowance: Int64 = 15 * 60_000

  /// The decoded items of the query, as sent. "+" stays a plus.
  static func query(of target: String) -> [(name: String, value: String)] {
    guard let mark = target.firstIndex(of: "?") else { return [] }
    return target[target.index(after: mark)...].split(separator: "&").map { item in
      let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return (
        URIEncoding.decode(pair[0]) ?? String(pair[0]),
        pair.count > 1 ? URIEncoding.decode(pair[1]) ?? String(pair[1]) : ""
      )
    }
  }

  static func code(of text: String, key: String) -> String {
    let secret = Array(Data(base64Encoded: key) ?? Data())
    return Data(hmacSHA256(key: secret, Array(text.utf8)).bytes).base64EncodedString()
  }

  /// The caller, or the refusal.
  func caller() -> Result<Caller, Refusal> {
    guard isPart || request["x-ms-version"]?.utf8.count == 10 || request["Authorization"] == nil
    else {
      return .failure(Refusal(400, "InvalidHeaderValue", "x-ms-version is missing"))
    }
    let query = AzureVerification.query(of: request.target)
    guard let header = request["Authorization"] else {
      guard query.contains(where: { $0.name == "sig" }) else {
        return .failure(Refusal(401, "NoAuthenticationInformation", "anonymous"))
      }
      return signature(query)
    }
    let words = header.split(separator: " ", maxSplits: 1).map(String.init)
    guard words.count == 2, ["SharedKey", "Bearer"].contains(words[0]) else {
      return .failure(
        Refusal(400, "InvalidAuthenticationInfo", "the scheme is neither SharedKey nor Bearer"))
    }
    if words[0] == "Bearer" { return bearer(words[1]) }
    return sharedKey(words[1], query)
  }

  struct Refusal: Error {
    var reply: LoopbackReply
    init(_ status: Int, _ code: String, _ message: String, detail: String? = nil) {
      reply = FakeAzureServer.error(status, code, message, detail: detail)
    }
  }

  private static func failed(_ detail: String) -> Refusal {
    Refusal(
      403, "AuthenticationFailed",
      "Server failed to authenticate the request. Make sure the value of Authorization header is"
        + " formed"
        + " correctly including the signature.", detail: detail)
  }

  private static let keysOff = Refusal(
    403, "KeyBasedAuthenticationNotPermitted",
    "Key based authentication is not permitted on this storage account.")

  private func bearer(_ token: String) -> Result<Caller, Refusal> {
    guard let end = setup.tokens[token], end.map({ now.milliseconds < $0.milliseconds }) ?? true
    else {
      return .failure(
        Refusal(401, "InvalidAuthenticationInfo", "Server failed to authenticate the request."))
    }
    return .success(.token)
  }

  private func sharedKey(
    _ text: String, _ query: [(name: String, value: String)]
  ) -> Result<Caller, Refusal> {
    guard setup.allowsKeys else { return .failure(AzureVerification.keysOff) }
    let date = request["x-ms-date"] ?? request["Date"] ?? ""
    guard let time = Instant(httpDate: date) else {
      return .failure(AzureVerification.failed("Request date header not specified or malformed"))
    }
    guard abs(time.since(now)) <= AzureVerification.allowance else {
      return .failure(AzureVerification.failed("Request date header too old: '\(date)'"))
    }
    let pair = text.split(separator: ":", maxSplits: 1).map(String.init)
    let signed = stringToSign(query)
    guard pair.count == 2, pair[0] == FakeAzureServer.account,
      setup.keys.contains(where: { AzureVerification.code(of: signed, key: $0) == pair[1] })
    else {
      return .failure(
        AzureVerification.failed(
          "The MAC signature found in the HTTP request '\(pair.last ?? "")' is not the same as any"
            + " computed signature. Server used following string to sign: '\(signed)'."))
    }
    return .success(.account)
  }

  private func stringToSign(_ query: [(name: String, value: String)]) -> String {
    var text = request.method + "\n"
    for name in [
      "Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type",
      "Date",
      "If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range",
    ] {
      var value = request[name] ?? ""
      if name == "Content-Length", value == "0" { value = "" }
      if name == "Date", request["x-ms-date"] != nil { value = "" }
      text += value + "\n"
    }
    let own = request.headers.map { ($0.name.lowercased(), $0.value) }
      .filter { $0.0.hasPrefix("x-ms-") }
    for (name, value) in own.sorted(by: { $0.0 < $1.0 }) { text += "\(name):\(value)\n" }
    text += "/\(FakeAzureServer.account)\(request.path)"
    for (name, value) in query.map({ ($0.name.lowercased(), $0.value) }).sorted(by: { $0.0 < $1.0 })
    {
      text += "\n\(name):\(value)"
    }
    return text
  }

  /// The string to sign of a service signature since version 2020-12-06.
  static func signatureText(_ fields: [String: String], resource: String) -> String {
    func field(_ name: String) -> String { fields[name] ?? "" }
    return [
      field("sp"), field("st"), field("se"), resource, field("si"), field("sip"), field("spr"),
      field("sv"), field("sr"), "", field("ses"), field("rscc"), field("rscd"), field("rsce"),
      field("rscl"), field("rsct"),
    ].joined(separator: "\n")
  }

  /// The string to sign of an account signature.
  private static func accountText(_ fields: [String: String]) -> String {
    FakeAzureServer.account + "\n"
      + ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses"].map { (fields[$0] ?? "") + "\n" }
      .joined()
  }

  private func signature(_ query: [(name: String, value: String)]) -> Result<Caller, Refusal> {
    guard setup.allowsKeys else { return .failure(AzureVerification.keysOff) }
    let fields = Dictionary(query.map { ($0.name, $0.value) }) { first, _ in first }
    let text =
      fields["ss"] != nil
      ? AzureVerification.accountText(fields)
      : AzureVerification.signatureText(
        fields, resource: "/blob/\(FakeAzureServer.account)/\(resourceContainer ?? "")")
    guard
      setup.keys.contains(where: { AzureVerification.code(of: text, key: $0) == fields["sig"] })
    else {
      return .failure(
        AzureVerification.failed("Signature did not match. String to sign used was \(text)"))
    }
    guard let se = fields["se"], let end = try? Instant(parsing: se, now: now),
      now.milliseconds < end.milliseconds
    else {
      return .failure(
        AzureVerification.failed(
          "Signature not valid in the specified time frame: Expiry [\(fields["se"] ?? "")];"
            + " sig=\(fields["sig"] ?? "")"
        ))
    }
    return .success(.signature(Set(fields["sp"] ?? "")))
  }
}
