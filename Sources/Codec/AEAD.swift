package import BackupTypes
import CCrypto

/// AES-256-GCM. The caller must never use a nonce twice with one key.
package enum AEAD {
  package static let keyByteCount = 32
  package static let nonceByteCount = 12
  package static let tagByteCount = 16

  /// - Returns: the ciphertext, as long as the plaintext, and the tag.
  package static func seal(
    _ plaintext: UnsafeRawBufferPointer, key: [UInt8], nonce: [UInt8], associatedData: [UInt8]
  ) throws(LifeboatError) -> [UInt8] {
    let cipher = try Cipher(.seal, key: key, nonce: nonce, associatedData: associatedData)
    return try filledArray(capacity: plaintext.count + tagByteCount) {
      (output) throws(LifeboatError) -> Int in
      try cipher.process(plaintext, into: output)
      try cipher.finishSealing(tag: UnsafeMutableRawBufferPointer(rebasing: output.suffix(16)))
      return output.count
    }
  }

  package static func seal(
    _ plaintext: [UInt8], key: [UInt8], nonce: [UInt8], associatedData: [UInt8]
  ) throws(LifeboatError) -> [UInt8] {
    try plaintext.withUnsafeBytes { buffer in
      Result { () throws(LifeboatError) in
        try seal(buffer, key: key, nonce: nonce, associatedData: associatedData)
      }
    }.get()
  }

  /// Seals the bytes of `message` from `start` on in place, and appends the tag. So a large message needs no
  /// second buffer.
  package static func seal(
    _ message: inout [UInt8], from start: Int, key: [UInt8], nonce: [UInt8],
    associatedData: [UInt8]
  ) throws(LifeboatError) {
    let cipher = try Cipher(.seal, key: key, nonce: nonce, associatedData: associatedData)
    message.append(contentsOf: repeatElement(0, count: tagByteCount))
    try message.withUnsafeMutableBytes { buffer in
      Result { () throws(LifeboatError) in
        let text = UnsafeMutableRawBufferPointer(rebasing: buffer[start...].dropLast(tagByteCount))
        // EVP allows input and output to be the same.
        try cipher.process(UnsafeRawBufferPointer(text), into: text)
        try cipher.finishSealing(
          tag: UnsafeMutableRawBufferPointer(rebasing: buffer.suffix(tagByteCount)))
      }
    }.get()
  }

  /// The plaintext of what `seal` returned. Anything else, including another key, nonce or associated data,
  /// is `.corrupt`. These cases can't be distinguished.
  package static func open(
    _ sealed: UnsafeRawBufferPointer, key: [UInt8], nonce: [UInt8], associatedData: [UInt8]
  ) throws(LifeboatError) -> [UInt8] {
    guard sealed.count >= tagByteCount else { throw authenticationFailed }
    let ciphertext = UnsafeRawBufferPointer(rebasing: sealed.dropLast(tagByteCount))
    let cipher = try Cipher(.open, key: key, nonce: nonce, associatedData: associatedData)
    // If the tag is wrong, the decrypted bytes never leave this function.
    return try filledArray(capacity: ciphertext.count + 1) {
      (output) throws(LifeboatError) -> Int in
      try cipher.process(ciphertext, into: output)
      guard cipher.finishOpening(tag: Array(sealed.suffix(tagByteCount))) else {
        throw authenticationFailed
      }
      return ciphertext.count
    }
  }

  package static func open(
    _ sealed: [UInt8], key: [UInt8], nonce: [UInt8], associatedData: [UInt8]
  ) throws(LifeboatError) -> [UInt8] {
    try sealed.withUnsafeBytes { buffer in
      Result { () throws(LifeboatError) in
        try open(buffer, key: key, nonce: nonce, associatedData: associatedData)
      }
    }.get()
  }

  private static var authenticationFailed: LifeboatError {
    LifeboatError(.corrupt, "authentication failed", cause: "altered data, or another key")
  }
}

/// One message through EVP's AES-256-GCM.
private final class Cipher {
  enum Direction: Int32 { case open = 0, seal = 1 }

  private let context: OpaquePointer

  init(
    _ direction: Direction, key: [UInt8], nonce: [UInt8], associatedData: [UInt8]
  ) throws(LifeboatError) {
    guard key.count == AEAD.keyByteCount else {
      throw LifeboatError(.failure, "a key has \(counted(key.count, "byte")) instead of 32")
    }
    guard nonce.count == AEAD.nonceByteCount else {
      throw LifeboatError(.corrupt, "a nonce has \(counted(nonce.count, "byte")) instead of 12")
    }
    guard let context = EVP_CIPHER_CTX_new() else { throw Cipher.failure }
    self.context = context
    // 12 bytes are the default nonce length of GCM, so it needs no setting.
    guard EVP_CipherInit_ex2(context, Cipher.algorithm, key, nonce, direction.rawValue, nil) == 1
    else { throw Cipher.failure }
    var count: Int32 = 0
    guard let length = Int32(exactly: associatedData.count),
      length == 0 || EVP_CipherUpdate(context, nil, &count, associatedData, length) == 1
    else { throw Cipher.failure }
  }

  deinit { EVP_CIPHER_CTX_free(context) }

  /// `output` must have room for as many bytes as `input`.
  func process(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(LifeboatError) {
    guard let base = input.baseAddress, !input.isEmpty else { return }
    precondition(output.count >= input.count, "\(output.count) bytes for \(input.count)")
    var count: Int32 = 0
    guard let length = Int32(exactly: input.count),
      EVP_CipherUpdate(
        context, output.baseAddress!.assumingMemoryBound(to: UInt8.self), &count,
        base.assumingMemoryBound(to: UInt8.self), length) == 1,
      count == length
    else { throw Cipher.failure }
  }

  func finishSealing(tag: UnsafeMutableRawBufferPointer) throws(LifeboatError) {
    var (count, nothing): (Int32, UInt8) = (0, 0)
    guard EVP_CipherFinal_ex(context, &nothing, &count) == 1,
      EVP_CIPHER_CTX_ctrl(
        context, EVP_CTRL_AEAD_GET_TAG, Int32(tag.count), tag.baseAddress!) == 1
    else { throw Cipher.failure }
  }

  /// Whether the tag is right.
  func finishOpening(tag: [UInt8]) -> Bool {
    var (tag, count, nothing): ([UInt8], Int32, UInt8) = (tag, 0, 0)
    let length = Int32(tag.count)
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, length, &tag) == 1
      && EVP_CipherFinal_ex(context, &nothing, &count) == 1
  }

  /// `nonisolated(unsafe)`: an EVP_CIPHER is immutable and may be used by any number of threads.
  private nonisolated(unsafe) static let algorithm: OpaquePointer = {
    guard let algorithm = EVP_CIPHER_fetch(nil, "AES-256-GCM", nil) else {
      preconditionFailure("libcrypto has no AES-256-GCM")
    }
    return algorithm
  }()

  private static var failure: LifeboatError {
    LifeboatError(.failure, "libcrypto can't encrypt or decrypt")
  }
}
