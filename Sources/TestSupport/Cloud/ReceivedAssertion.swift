import FoundationEssentials

/// A JWT signed with RS256 (RFC 7515), as a token service reads it, with code of its own.
struct ReceivedAssertion<Header: Decodable, Claims: Decodable> {
  let header: Header
  let claims: Claims
  private let signed: [UInt8]
  private let signature: [UInt8]

  /// nil if it is malformed.
  init?(_ text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 3, let head = fromBase64URL(parts[0]),
      let body = fromBase64URL(parts[1]), let signature = fromBase64URL(parts[2]),
      let header = try? JSONDecoder().decode(Header.self, from: head),
      let claims = try? JSONDecoder().decode(Claims.self, from: body)
    else { return nil }
    self.header = header
    self.claims = claims
    self.signature = Array(signature)
    signed = Array((parts[0] + "." + parts[1]).utf8)
  }

  func isSigned(by key: RSAKeyPair) -> Bool { key.verifies(signature, of: signed) }
}

/// RFC 7515, appendix C. Padding is not allowed.
func fromBase64URL(_ text: String) -> Data? {
  guard text.utf8.allSatisfy({ $0 != UInt8(ascii: "=") }) else { return nil }
  var standard = String(text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
  while standard.count % 4 != 0 { standard += "=" }
  return Data(base64Encoded: standard)
}
