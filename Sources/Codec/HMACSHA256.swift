package import BackupTypes

/// HMAC-SHA-256 (RFC 2104), incrementally. Copies are independent, so one that was made with a key can be
/// kept and copied for each message.
package struct HMACSHA256: Sendable {
  private static let blockSize = 64

  private var inner = SHA256Hasher()
  private var outer = SHA256Hasher()

  /// - Parameter key: a key of any length.
  package init(key: [UInt8]) {
    var block = key.count > HMACSHA256.blockSize ? SHA256Hasher.digest(of: key).bytes : key
    block.append(contentsOf: repeatElement(0, count: HMACSHA256.blockSize - block.count))
    inner.update(block.map { $0 ^ 0x36 })
    outer.update(block.map { $0 ^ 0x5c })
  }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) { inner.update(bytes) }
  package mutating func update(_ bytes: [UInt8]) { inner.update(bytes) }

  /// The authentication code of everything so far. More data may follow.
  package func finalize() -> Digest {
    var outer = outer
    outer.update(inner.finalize().bytes)
    return outer.finalize()
  }
}

/// HMAC-SHA-256 of `data`, the parts one after the other.
package func hmacSHA256(key: [UInt8], _ data: [UInt8]...) -> Digest {
  var code = HMACSHA256(key: key)
  for part in data { code.update(part) }
  return code.finalize()
}

package func hmacSHA256(key: [UInt8], _ data: UnsafeRawBufferPointer) -> Digest {
  var code = HMACSHA256(key: key)
  code.update(data)
  return code.finalize()
}

/// HKDF with SHA-256 (RFC 5869): derives independent keys from one secret, distinguished by `info`.
package enum HKDF {
  /// The maximum of RFC 5869: 255 blocks.
  package static let byteCountMax = 255 * Digest.byteCount

  package static func derive(
    secret: [UInt8], salt: [UInt8], info: [UInt8], count: Int = 32
  ) -> [UInt8] {
    precondition((0...byteCountMax).contains(count), "HKDF of \(count) bytes")
    let key = HMACSHA256(key: hmacSHA256(key: salt, secret).bytes)
    var (result, block): ([UInt8], [UInt8]) = ([], [])
    var number: UInt8 = 0
    while result.count < count {
      number += 1
      var code = key
      code.update(block)
      code.update(info)
      code.update([number])
      block = code.finalize().bytes
      result += block
    }
    return Array(result.prefix(count))
  }
}
