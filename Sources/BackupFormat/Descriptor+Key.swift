package import BackupTypes

extension Descriptor {
  /// What a key, or none, means for this repository: the key to open its slots with, or nil when it is
  /// not encrypted. Decided from the descriptor alone, before anything else is read.
  ///
  /// A key for a repository that is not encrypted is refused as well. Whoever gives one expects that
  /// nothing is written in the clear, and nothing accepted that others could have written: whoever owns
  /// the store could put another descriptor there.
  package func keyToUse(_ key: EncryptionKey?, location: String) throws(LifeboatError)
    -> EncryptionKey?
  {
    switch (cipher, key) {
    case (.none, nil): return nil
    case (.aes256gcm, let key?): return key
    case (.aes256gcm, nil):
      throw LifeboatError(
        .wrongKey, "the repository at \(location) is encrypted, and no key was given",
        hint: "give its key with --encryption-key-file or LIFEBOAT_ENCRYPTION_KEY")
    case (.none, _?):
      throw LifeboatError(
        .wrongKey, "a key was given, and the repository at \(location) is not encrypted",
        cause: "an existing repository does not become encrypted",
        hint:
          "give a prefix of its own, where `lifeboat ship` makes an encrypted repository, or no key;"
          + " if this one was encrypted before, someone replaced its lifeboat.json")
    }
  }
}
