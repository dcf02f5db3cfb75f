import CCrypto

/// An RSA key that signs: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2), which JWTs call RS256.
///
/// `@unchecked Sendable`: the handle never changes after the key was read, and OpenSSL allows several threads
/// to use one key.
package final class RSAPrivateKey: @unchecked Sendable {
  private let key: OpaquePointer

  /// - Parameter pem: PKCS #8 or PKCS #1, not encrypted.
  /// - Returns: nil for anything else.
  package init?(pem: String) {
    let key = Array(pem.utf8).withUnsafeBytes { bytes -> OpaquePointer? in
      guard let source = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else {
        return nil
      }
      defer { BIO_free(source) }
      // Without a callback, OpenSSL would ask for the password of an encrypted key on the terminal.
      return PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in 0 }, nil)
    }
    // After a failure, OpenSSL keeps the error in a queue of this thread.
    ERR_clear_error()
    guard let key else { return nil }
    guard EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA else {
      EVP_PKEY_free(key)
      return nil
    }
    self.key = key
  }

  deinit { EVP_PKEY_free(key) }

  /// nil only if OpenSSL is out of memory, or a system policy forbids such a key.
  package func signature(of message: [UInt8]) -> [UInt8]? {
    guard let context = EVP_MD_CTX_new() else { return nil }
    defer { EVP_MD_CTX_free(context) }
    var count = 0
    guard EVP_DigestSignInit(context, nil, EVP_sha256(), nil, key) == 1,
      EVP_DigestSign(context, nil, &count, message, message.count) == 1
    else {
      ERR_clear_error()
      return nil
    }
    var signature = [UInt8](repeating: 0, count: count)
    guard EVP_DigestSign(context, &signature, &count, message, message.count) == 1 else {
      ERR_clear_error()
      return nil
    }
    return Array(signature.prefix(count))
  }
}
