package import BackupFormat
package import BackupTypes
package import ObjectStorage

/// Lists, adds and removes the keys of one encrypted repository. It is opened with a key that works, and that
/// key still works after each operation.
package struct RepositoryKeys: Sendable {
  package let store: any ObjectStore
  package let repository: Nonce
  private let slots: KeySlots
  private let key: EncryptionKey
  private let opened: KeySlots.Opened

  /// - Throws: `.noBackup` if there is no repository; `.wrongKey` if the key does not open it, or if it is
  ///   not encrypted.
  package static func open(_ store: any ObjectStore, keys: KeySource) async throws
    -> RepositoryKeys
  {
    guard let descriptor = try await Repository.descriptor(store) else {
      throw LifeboatError(
        .noBackup, "there is no repository at \(store.location)",
        hint: "check the bucket and prefix")
    }
    guard let key = try descriptor.keyToUse(try keys.read(), location: store.location) else {
      throw LifeboatError(
        .wrongKey, "the repository at \(store.location) is not encrypted, so it has no keys",
        cause: "an existing repository can't be encrypted later",
        hint: "use a new prefix, where `lifeboat ship` with a key creates an encrypted repository")
    }
    let slots = KeySlots(store: store, repository: descriptor.repository)
    return RepositoryKeys(
      store: store, repository: descriptor.repository, slots: slots, key: key,
      opened: try await slots.opened(by: key))
  }

  private init(
    store: any ObjectStore, repository: Nonce, slots: KeySlots, key: EncryptionKey,
    opened: KeySlots.Opened
  ) {
    self.store = store
    self.repository = repository
    self.slots = slots
    self.key = key
    self.opened = opened
  }

  /// The id of the slot that the key opened.
  package var current: String { opened.id }

  // MARK: Listing

  /// One object below `keys/`.
  package struct Slot: Sendable, Encodable {
    package enum State: String, Sendable, Encodable {
      /// The given key opens it.
      case current
      /// Intact. Only its own key can tell whether it opens the repository.
      case other
      /// Not a slot that any key opens.
      case damaged
      /// Left by an interrupted creation of another repository at this place. It opens nothing here.
      case unfinished
    }
    package var id: String
    package var state: State
    /// By the store's clock.
    package var addedAt: String
    /// Whether the repository was created with it.
    package var isFirst: Bool
  }

  package struct Listing: Sendable, Encodable {
    package var repository: String
    package var location: String
    package var keys: [Slot]
    /// How many more objects are below `keys/`.
    package var leftOut: Int
  }

  /// Lists the first slot and those of the given key, then a bounded number of others.
  package func listing() async throws -> Listing {
    let own = KeySlot.id(of: key.bytes, repository: repository)
    func isOwn(_ id: String) -> Bool { [repository.hexadecimal, own, opened.id].contains(id) }
    let known = try await slots.listed(where: isOwn)
    let others = try await slots.listed { !isOwn($0) }
    var keys: [Slot] = []
    for slot in known.first + others.first {
      let state: Slot.State
      switch try await slots.attempt(slot.id, key) {
      case .absent: continue
      case .opened: state = .current
      case .broken: state = .damaged
      case .refused:
        state =
          slot.id != repository.hexadecimal && Nonce(hexadecimal: slot.id) != nil
          ? .unfinished : .other
      }
      keys.append(
        Slot(
          id: slot.id, state: state, addedAt: slot.modified.description,
          isFirst: slot.id == repository.hexadecimal))
    }
    return Listing(
      repository: repository.hexadecimal, location: store.location, keys: keys,
      leftOut: others.more)
  }

  // MARK: Adding

  package struct Added: Sendable, Encodable {
    package var id: String
    /// False if the key opened the repository already. Nothing was written then.
    package var isNew: Bool
  }

  /// Makes `new` a key of the repository. When this returns, its slot is durable, and was opened.
  package func add(_ new: EncryptionKey) async throws -> Added {
    if let opened = try await slots.search(new).opened { return Added(id: opened.id, isNew: false) }
    let id = KeySlot.id(of: new.bytes, repository: repository)
    try await slots.create(opened.repositoryKey, for: new, id: id)
    return Added(id: id, isNew: true)
  }

  // MARK: Removing

  package struct Removed: Sendable, Encodable {
    package var removed: [String]
    /// The slot of the given key, which opens the repository.
    package var remaining: String
    /// Somebody removed the slot of the given key meanwhile, and it was written again.
    package var isRestored: Bool
  }

  /// Deletes slots.
  ///
  /// A slot that remains has to open with the given key, so the last key is never removed. This is checked
  /// again afterwards: if two people remove each other's key at the same time, both slots are written again.
  /// - Throws: `.usage` if there is no such slot, or if the key opens no slot that remains;
  ///   `.storeUnavailable` if the store denies the deletion.
  package func remove(_ ids: [String]) async throws -> Removed {
    let removed = Array(Set(ids)).sorted()
    for id in removed {
      if case .key(id) = ObjectPath(ObjectPath.key(id).text),
        try await store.has(ObjectPath.key(id).text, limit: ObjectKind.keySlot.objectBytesMax)
      {
        continue
      }
      throw LifeboatError(
        .usage, "there is no key \(printable(id)) in the repository at \(store.location)",
        hint: "`lifeboat key list` shows the ids")
    }
    guard let remaining = try await slots.search(key, excluding: Set(removed)).opened else {
      throw LifeboatError(
        .usage, "\(opened.id) belongs to the key that was given, and is not removed",
        cause: "Lifeboat first has to check that a remaining key opens the repository",
        hint:
          "pass the key that is to remain with --encryption-key-file; `lifeboat key add` adds one")
    }
    try await delete(removed)
    for id in removed
    where try await store.has(ObjectPath.key(id).text, limit: ObjectKind.keySlot.objectBytesMax) {
      throw LifeboatError(
        .storeUnavailable, "\(ObjectPath.key(id).text) at \(store.location) is still there",
        cause: "the store confirmed its deletion", hint: "run the command again")
    }
    if case .opened = try await slots.attempt(remaining.id, key) {
      return Removed(removed: removed, remaining: remaining.id, isRestored: false)
    }
    try await slots.create(remaining.repositoryKey, for: key, id: remaining.id)
    return Removed(removed: removed, remaining: remaining.id, isRestored: true)
  }

  private func delete(_ ids: [String]) async throws {
    let names = ids.map { ObjectPath.key($0).text }
    let (failed, cause): (String, LifeboatError)
    do {
      let failures = try await store.delete(names)
      guard let (name, error) = failures.min(by: { $0.key < $1.key }) else { return }
      (failed, cause) = (name, error)
    } catch let error as LifeboatError where error.isDenied {
      (failed, cause) = (names[0], error)
    }
    throw kept(failed, cause)
  }

  /// Why a slot was not deleted.
  private func kept(_ name: String, _ error: LifeboatError) -> LifeboatError {
    LifeboatError(
      error.code,
      "\(name) at \(store.location) can't be deleted: its key still opens the repository",
      cause: error.cause ?? error.message,
      hint: error.isDenied
        ? "run the command with credentials that may delete below keys/; those of a sidecar often may not"
        : error.hint
    ).denied(error.isDenied)
  }
}
