package import BackupTypes
import CCrypto

/// SHA-256, incrementally. Copies are independent.
package struct SHA256Hasher: Sendable {
  private var context = Context()

  package init() {}

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    if !isKnownUniquelyReferenced(&context) { context = Context(copying: context) }
    context.update(bytes)
  }

  package mutating func update(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { update($0) }
  }

  /// The digest of everything so far. More data may follow.
  package func finalize() -> Digest { Context(copying: context).finish() }

  package static func digest(of bytes: UnsafeRawBufferPointer) -> Digest {
    let context = Context()
    context.update(bytes)
    return context.finish()
  }

  package static func digest(of bytes: [UInt8]) -> Digest {
    bytes.withUnsafeBytes { digest(of: $0) }
  }

  /// Fetched once, because a fetch by name for each digest would cost as much as hashing a kilobyte.
  /// `nonisolated(unsafe)`: an EVP_MD is immutable and may be used by any number of threads.
  private nonisolated(unsafe) static let algorithm: OpaquePointer = {
    guard let algorithm = EVP_MD_fetch(nil, "SHA256", nil) else {
      preconditionFailure("libcrypto has no SHA-256")
    }
    return algorithm
  }()

  /// `@unchecked Sendable`: only `SHA256Hasher` writes to it. It makes a copy first unless it has the only
  /// reference, so no thread sees another's writes.
  private final class Context: @unchecked Sendable {
    private let context: OpaquePointer

    // The calls below only fail if memory runs out or they are misused. There is no way to continue.
    init() {
      guard let context = EVP_MD_CTX_new(),
        EVP_DigestInit_ex2(context, SHA256Hasher.algorithm, nil) == 1
      else { preconditionFailure("libcrypto can't begin a SHA-256") }
      self.context = context
    }

    init(copying other: Context) {
      guard let context = EVP_MD_CTX_new(), EVP_MD_CTX_copy_ex(context, other.context) == 1 else {
        preconditionFailure("libcrypto can't copy a SHA-256")
      }
      self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    func update(_ bytes: UnsafeRawBufferPointer) {
      guard let base = bytes.baseAddress else { return }
      let result = EVP_DigestUpdate(context, base, bytes.count)
      precondition(result == 1, "libcrypto can't continue a SHA-256")
    }

    func finish() -> Digest {
      let bytes = [UInt8](unsafeUninitializedCapacity: Digest.byteCount) { buffer, count in
        let result = EVP_DigestFinal_ex(context, buffer.baseAddress!, nil)
        precondition(result == 1, "libcrypto can't finish a SHA-256")
        count = Digest.byteCount
      }
      return Digest(bytes: bytes)!
    }
  }
}
