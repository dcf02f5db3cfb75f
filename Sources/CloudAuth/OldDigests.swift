import CCrypto
import FoundationEssentials

/// The base64 of the MD5 of `bytes`, for `Content-MD5` (RFC 1864). S3 demands it for a batch delete and in a
/// bucket with object lock; Azure compares it with what arrived. Not for security. Empty if MD5 is forbidden.
package func contentMD5(_ bytes: [UInt8]) -> String {
  var digest = [UInt8](repeating: 0, count: 16)
  let result = EVP_Digest(bytes, bytes.count, &digest, nil, EVP_md5(), nil)
  // It fails if a policy of the system (FIPS) forbids MD5. Such requests are then not possible.
  guard result == 1 else { return "" }
  return Data(digest).base64EncodedString()
}

/// The SHA-1 of `bytes`: by which Microsoft Entra names a certificate (`x5t`, RFC 7515, 4.1.7). Not for
/// security. Nil if a policy of the system forbids it.
func sha1(_ bytes: [UInt8]) -> [UInt8]? {
  var digest = [UInt8](repeating: 0, count: 20)
  return EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha1(), nil) == 1 ? digest : nil
}
