import CCrypto

/// A 2048-bit RSA key pair: the private key signs, the public key checks signatures.
package final class RSAKeyPair: @unchecked Sendable {
  // Never changed after `init`; OpenSSL lets several threads use one key.
  private let key: OpaquePointer

  /// One key for all tests of a process, since making one takes a while.
  package static let shared = RSAKeyPair()

  package init() {
    var made: OpaquePointer?
    let context = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, nil)
    defer { EVP_PKEY_CTX_free(context) }
    precondition(
      EVP_PKEY_keygen_init(context) == 1 && EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) == 1
        && EVP_PKEY_keygen(context, &made) == 1, "no RSA key could be made")
    key = made!
  }

  deinit { EVP_PKEY_free(key) }

  /// PKCS #8, as Google writes it.
  package var privatePEM: String { pem(password: nil) }
  /// The same, encrypted.
  package func privatePEM(password: String) -> String { pem(password: password) }

  private func pem(password: String?) -> String {
    let sink = BIO_new(BIO_s_mem())
    defer { BIO_free(sink) }
    let bytes = (password ?? "").utf8.map { CChar(bitPattern: $0) }
    precondition(
      PEM_write_bio_PKCS8PrivateKey(
        sink, key, password == nil ? nil : EVP_aes_256_cbc(), bytes, Int32(bytes.count), nil, nil)
        == 1)
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    let count = BIO_read(sink, &buffer, Int32(buffer.count))
    return String(decoding: buffer.prefix(Int(max(0, count))), as: UTF8.self)
  }

  /// A self-signed certificate of the key.
  package func certificate() -> (pem: String, der: [UInt8]) {
    let certificate = X509_new()!
    defer { X509_free(certificate) }
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1)
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0)
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86_400)
    X509_set_pubkey(certificate, key)
    let name = X509_get_subject_name(certificate)
    X509_NAME_add_entry_by_txt(name, "CN", 0x1001, Array("test".utf8), -1, -1, 0)  // MBSTRING_ASC
    X509_set_issuer_name(certificate, name)
    precondition(X509_sign(certificate, key, EVP_sha256()) > 0, "no certificate could be made")
    var der: UnsafeMutablePointer<UInt8>?
    let count = i2d_X509(certificate, &der)
    precondition(count > 0, "no certificate could be written")
    let bytes = Array(UnsafeBufferPointer(start: der, count: Int(count)))
    CRYPTO_free(der, nil, 0)
    let sink = BIO_new(BIO_s_mem())
    defer { BIO_free(sink) }
    precondition(PEM_write_bio_X509(sink, certificate) == 1)
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    let length = BIO_read(sink, &buffer, Int32(buffer.count))
    return (String(decoding: buffer.prefix(Int(max(0, length))), as: UTF8.self), bytes)
  }

  /// Whether a signature is RS256 of `message` with this key.
  package func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
    let context = EVP_MD_CTX_new()
    defer { EVP_MD_CTX_free(context) }
    guard EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, key) == 1 else { return false }
    return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
  }
}
