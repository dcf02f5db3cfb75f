import CCrypto

/// The base64 of the MD5 of `bytes`, for `Content-MD5` (RFC 1864), which a batch delete and a
/// bucket with object lock demand. Not for security.
func contentMD5(_ bytes: [UInt8]) -> String {
  var digest = [UInt8](repeating: 0, count: 16)
  let result = EVP_Digest(bytes, bytes.count, &digest, nil, EVP_md5(), nil)
  // It fails where a policy of the system (FIPS) forbids MD5; then no such request can be made.
  guard result == 1 else { return "" }
  return base64(digest)
}

private func base64(_ bytes: [UInt8]) -> String {
  let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  var text: [UInt8] = []
  for start in stride(from: 0, to: bytes.count, by: 3) {
    let group = bytes[start..<min(start + 3, bytes.count)]
    let word = group.enumerated().reduce(UInt32(0)) {
      $0 | UInt32($1.element) << (16 - 8 * $1.offset)
    }
    for place in 0..<4 {
      text.append(
        place <= group.count ? alphabet[Int(word >> (18 - 6 * place) & 63)] : UInt8(ascii: "="))
    }
  }
  return String(decoding: text, as: UTF8.self)
}
