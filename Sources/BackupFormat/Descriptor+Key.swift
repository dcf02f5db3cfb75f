package import BackupTypes

extension Descriptor {
  /// Decides what a key, or no key, means for this repository: the key to open its slots with, or nil if it
  /// is not encrypted. Decided from the descriptor alone, before anything else is read.
  ///
  /// A key for an unencrypted repository is refused as well. Someone who gives a key expects that nothing is
  /// written unencrypted, and that nothing that others could have written is accepted. The owner of the store
  /// could have replaced the descriptor.
  package func keyToUse(_ key: EncryptionKey?, location: String) throws(LifeboatError)
    -> EncryptionKey?
  {
    switch (cipher, key) {
    case (.none, nil): return nil
    case (.aes256gcm, let key?): return key
    case (.aes256gcm, nil):
      throw LifeboatError(
        .wrongKey, "the repository at \(location) is encrypted, and no key was given",
        hint: "pass its key with --encryption-key-file or LIFEBOAT_ENCRYPTION_KEY")
    case (.none, _?):
      throw LifeboatError(
        .wrongKey, "a key was given, but the repository at \(location) is not encrypted",
        cause: "an existing repository can't be encrypted later",
        hint:
          "use a new prefix, where `lifeboat ship` creates an encrypted repository, or pass no key;"
          + " if this repository was encrypted before, someone replaced its lifeboat.json")
    }
  }
}
