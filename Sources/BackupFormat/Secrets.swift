package import BackupTypes
import Codec

/// The keys of an encrypted repository, all derived from one random repository key. Each purpose has its
/// own key.
package struct RepositorySecrets: Sendable {
  package static let keyBytes = 32
  package static let nonceBytes = 12
  let contentKey: [UInt8]
  let digestKey: [UInt8]

  /// `repositoryKey` is the key in the key slots. `repository` is the repository's id, so that two
  /// repositories with the same key by mistake still have different derived keys.
  package init(repositoryKey: [UInt8], repository: Nonce) {
    let salt = Array(repository.hexadecimal.utf8)
    func derive(_ purpose: String) -> [UInt8] {
      HKDF.derive(secret: repositoryKey, salt: salt, info: Array(purpose.utf8))
    }
    contentKey = derive("lifeboat 1 content")
    digestKey = derive("lifeboat 1 digests")
  }
}

extension RepositorySecrets: CustomStringConvertible, CustomReflectable {
  /// Never the keys.
  package var description: String { "RepositorySecrets(redacted)" }
  package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// One way to open an encrypted repository: its key, wrapped by a person's key.
package struct KeySlot: Sendable, Codable, Equatable {
  package static let saltBytes = 16
  /// The largest slot. A real one has about 300 bytes.
  package static let sizeMax = 4096
  private static let addedPrefix = "key-"
  private static let idBytes = 16
  package var salt: String
  package var nonce: String
  package var wrapped: String

  /// The id of the slot of an added key. It is derived from the key, so its owner finds the slot without a
  /// listing, and nobody else can occupy the name in advance.
  package static func id(of personalKey: [UInt8], repository: Nonce) -> String {
    addedPrefix
      + hexadecimal(
        HKDF.derive(
          secret: personalKey, salt: Array(repository.hexadecimal.utf8),
          info: Array("lifeboat 1 key slot id".utf8), count: idBytes))
  }

  /// Whether a slot's id has the form of `id(of:repository:)`.
  package static func isAdded(_ id: String) -> Bool {
    id.hasPrefix(addedPrefix)
      && ShortDigest(hexadecimal: String(id.dropFirst(addedPrefix.utf8.count))) != nil
  }

  /// Wraps `repositoryKey`; `salt` (16 bytes) and `nonce` (12) are fresh randomness.
  package init(
    wrapping repositoryKey: [UInt8], with personalKey: [UInt8], salt: [UInt8], nonce: [UInt8],
    repository: Nonce
  ) throws {
    self.salt = hexadecimal(salt)
    self.nonce = hexadecimal(nonce)
    wrapped = hexadecimal(
      try AEAD.seal(
        repositoryKey, key: KeySlot.wrappingKey(personalKey, salt), nonce: nonce,
        associatedData: Array(repository.hexadecimal.utf8)))
  }

  /// The repository's key. This is the key check of format 1. A wrong key fails here, before any object is
  /// read, and never looks like damage or an empty repository.
  package func repositoryKey(unwrappingWith personalKey: [UInt8], repository: Nonce) throws
    -> [UInt8]
  {
    guard let salt = bytes(hexadecimal: salt), let nonce = bytes(hexadecimal: nonce),
      let wrapped = bytes(hexadecimal: wrapped),
      let key = try? AEAD.open(
        wrapped, key: KeySlot.wrappingKey(personalKey, salt), nonce: nonce,
        associatedData: Array(repository.hexadecimal.utf8)),
      key.count == RepositorySecrets.keyBytes
    else {
      throw LifeboatError(
        .wrongKey, "the key does not open this repository",
        hint: "use the key that the repository was created with, or one that was added to it")
    }
    return key
  }

  private static func wrappingKey(_ personalKey: [UInt8], _ salt: [UInt8]) -> [UInt8] {
    HKDF.derive(secret: personalKey, salt: salt, info: Array("lifeboat 1 key slot".utf8))
  }
}
