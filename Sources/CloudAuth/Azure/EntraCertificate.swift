import BackupTypes
import Codec
import FoundationEssentials
import SystemIO

/// A certificate with its RSA key. It signs the client assertion (RFC 7523).
struct EntraCertificate: Sendable {
  /// The same as in Microsoft's library.
  private static let lifetimeSeconds: Int64 = 600

  private struct Header: Encodable {
    var alg = "RS256"
    var typ = "JWT"
    /// The SHA-1 of the certificate (RFC 7515, 4.1.7).
    var x5t: String
  }

  private struct Claims: Encodable {
    var aud: String
    var exp: Int64
    var iat: Int64
    var iss: String
    var jti: String
    var nbf: Int64
    var sub: String
  }

  private let key: RSAPrivateKey
  private let thumbprint: String

  /// - Parameters:
  ///   - pem: a certificate and its key, in any order. Errors never quote it.
  ///   - path: the path of the file, for messages.
  init(pem: String, path: String) throws {
    func failure(_ cause: String) -> LifeboatError {
      credentialFailure(
        "can't use the certificate in \(printable(path))", cause: cause,
        hint: "AZURE_CLIENT_CERTIFICATE_PATH names a PEM file with the certificate and its RSA key,"
          + " not encrypted; convert a .pfx with: openssl pkcs12 -in FILE -nodes")
    }
    guard let key = RSAPrivateKey(pem: pem) else { throw failure("it has no RSA key in PEM") }
    guard let der = EntraCertificate.certificate(in: pem) else {
      throw failure("it has no certificate in PEM")
    }
    guard let digest = sha1(der) else {
      throw failure(
        "this machine's cryptography library forbids SHA-1, which Microsoft Entra requires")
    }
    self.key = key
    thumbprint = JSONWebToken.base64URL(Data(digest))
  }

  /// The DER of the first certificate. If a chain follows, the first one is the client's.
  private static func certificate(in pem: String) -> [UInt8]? {
    guard let begin = pem.firstRange(of: "-----BEGIN CERTIFICATE-----"),
      let end = pem[begin.upperBound...].firstRange(of: "-----END CERTIFICATE-----")
    else { return nil }
    let text = pem[begin.upperBound..<end.lowerBound].filter { !$0.isWhitespace && !$0.isNewline }
    guard let der = Data(base64Encoded: String(text)), !der.isEmpty else { return nil }
    return Array(der)
  }

  func assertion(client: String, audience: String, at time: Instant) throws -> String {
    let seconds = time.milliseconds / 1000
    let claims = Claims(
      aud: audience, exp: seconds + EntraCertificate.lifetimeSeconds, iat: seconds, iss: client,
      jti: hexadecimal(secureRandomBytes(16)), nbf: seconds, sub: client)
    guard
      let text = try JSONWebToken.signed(header: Header(x5t: thumbprint), claims: claims, with: key)
    else {
      throw credentialFailure(
        "can't sign with the client's certificate",
        cause: "this machine's cryptography library rejects the key",
        hint: "create a certificate with an RSA key of at least 2048 bits")
    }
    return text
  }
}
