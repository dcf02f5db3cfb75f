import Codec
import FoundationEssentials

/// A JWT signed with RS256 (RFC 7515, RFC 7519): claims and key come in, a text comes out.
enum JSONWebToken {
  /// The names are those of RFC 7519, and `scope`, which is Google's.
  struct Claims: Codable, Equatable {
    var iss: String
    var scope: String
    var aud: String
    /// Unix seconds, like `exp`.
    var iat: Int64
    var exp: Int64
  }

  private struct Header: Codable {
    var alg = "RS256"
    var typ = "JWT"
    var kid: String?
  }

  static func signed(
    _ claims: Claims, keyID: String?, with key: RSAPrivateKey
  ) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let head = base64URL(try encoder.encode(Header(kid: keyID)))
    let body = base64URL(try encoder.encode(claims))
    let input = head + "." + body
    guard let signature = key.signature(of: Array(input.utf8)) else {
      throw credentialFailure(
        "can't sign with the service account's key",
        cause: "this machine's cryptography library rejects the key",
        hint: "Google's keys now have 2048 bits: create a new one")
    }
    return input + "." + base64URL(Data(signature))
  }

  /// RFC 7515, appendix C.
  private static func base64URL(_ data: Data) -> String {
    String(
      data.base64EncodedString().compactMap { character in
        switch character {
        case "+": "-"
        case "/": "_"
        case "=": nil
        default: character
        }
      })
  }
}
