import Codec
import FoundationEssentials

/// A JWT signed with RS256 (RFC 7515, RFC 7519): made from claims and a key.
enum JSONWebToken {
  /// - Returns: nil if this machine's cryptography library rejects the key.
  static func signed(
    header: some Encodable, claims: some Encodable, with key: RSAPrivateKey
  ) throws -> String? {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let head = base64URL(try encoder.encode(header))
    let body = base64URL(try encoder.encode(claims))
    let input = head + "." + body
    return key.signature(of: Array(input.utf8)).map { input + "." + base64URL(Data($0)) }
  }

  /// RFC 7515, appendix C.
  static func base64URL(_ data: Data) -> String {
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
