import BackupFormat
import BackupTypes
import Codec
import ObjectStorage
import SystemIO

/// The key slots of one encrypted repository: each wraps the repository key with a person's key.
///
/// The first is `keys/<repository id>`. It is written, and opened as a test, before the descriptor that
/// names the repository, so a descriptor without a slot never exists. Two processes that create a
/// repository at the same time each have a slot. The slot of the one whose descriptor loses remains, and
/// nothing refers to it. A slot that was added later is named after its key (`KeySlot.id`), so it is read
/// by its name, whatever else somebody puts below `keys/`.
struct KeySlots {
  /// How many slots are tried whose names do not show whose they are. Anyone who can write there could leave
  /// any number of them.
  static let triesMax = 32

  let store: any ObjectStore
  let repository: Nonce
  /// A slot is not encrypted with the cipher that it opens.
  private let frame = Frame(
    compression: .none, secrets: nil, randomBytes: { secureRandomBytes($0) })

  init(store: any ObjectStore, repository: Nonce) {
    self.store = store
    self.repository = repository
  }

  enum Attempt {
    case opened([UInt8])
    /// The slot is intact, but was made for another key or another repository.
    case refused
    case absent
    case broken(LifeboatError)
  }

  /// A slot that the key opens.
  struct Opened {
    var id: String
    var repositoryKey: [UInt8]
  }

  /// What was found while a slot for one key was searched.
  struct Search {
    var opened: Opened?
    var refused = 0
    /// The first damage of a slot that may be this key's: of the first slot, or of the one with its name.
    var damage: LifeboatError?
    /// The first damaged slot among the others. Lifeboat never wrote it for this key, and anyone who may
    /// create objects can create it, so it does not affect the result.
    var otherDamage: String?

    /// - Parameter isKeysOwn: whether it is one of the two slots that may belong to this key.
    fileprivate mutating func take(_ attempt: Attempt, of id: String, isKeysOwn: Bool) {
      switch attempt {
      case .opened(let repositoryKey): opened = Opened(id: id, repositoryKey: repositoryKey)
      case .refused: refused += 1
      case .absent: break
      case .broken(let error) where isKeysOwn: damage = damage ?? error
      case .broken: otherDamage = otherDamage ?? ObjectPath.key(id).text
      }
    }
  }

  /// The repository key. Throws `.wrongKey` if no slot opens, and `.corrupt` if one that may be this key's
  /// is damaged or all are missing: it is then unknown which key would have opened it.
  func repositoryKey(openedBy key: EncryptionKey) async throws -> [UInt8] {
    try await opened(by: key).repositoryKey
  }

  /// The same, with the slot.
  func opened(by key: EncryptionKey) async throws -> Opened {
    let search = try await search(key)
    if let opened = search.opened { return opened }
    if let damage = search.damage { throw damage }
    guard search.refused > 0 else {
      throw LifeboatError(
        .corrupt, "the repository at \(store.location) is encrypted, but its key slot is missing",
        cause: search.otherDamage.map { "\($0) is damaged, and there is no other" }
          ?? "\(ObjectPath.key(repository.hexadecimal).text) was deleted",
        hint:
          "recover keys/ from a copy or an older version: without it, no key opens the repository")
    }
    throw LifeboatError(
      .wrongKey, "the key does not open the repository at \(store.location)",
      cause: "it was created with another key, and this one was never added, or was removed"
        + (search.otherDamage.map { "; \($0) is damaged, and was not tried" } ?? ""),
      hint: "use a key that opens it: `lifeboat key list` with one shows them all; also check the "
        + "bucket and prefix")
  }

  /// Searches a slot that `key` opens: first the two that can be known by their names, then a few others.
  /// - Parameter excluded: ids that are treated as absent.
  func search(_ key: EncryptionKey, excluding excluded: Set<String> = []) async throws -> Search {
    var search = Search()
    let known = [repository.hexadecimal, KeySlot.id(of: key.bytes, repository: repository)]
    for id in known where !excluded.contains(id) && search.opened == nil {
      search.take(try await attempt(id, key), of: id, isKeysOwn: true)
    }
    guard search.opened == nil else { return search }
    let others = try await listed { id in
      !known.contains(id) && !excluded.contains(id) && Nonce(hexadecimal: id) == nil
    }
    for id in others.first.map(\.id) where search.opened == nil {
      search.take(try await attempt(id, key), of: id, isKeysOwn: false)
    }
    return search
  }

  /// Wraps the repository key. When this returns, the slot is durable, and was read back and opened.
  /// - Throws: `.corrupt` if something else has that name.
  func create(_ repositoryKey: [UInt8], for key: EncryptionKey, id: String) async throws {
    let slot = try KeySlot(
      wrapping: repositoryKey, with: key.bytes, salt: secureRandomBytes(KeySlot.saltBytes),
      nonce: secureRandomBytes(RepositorySecrets.nonceBytes), repository: repository)
    let name = ObjectPath.key(id)
    let object = try frame.seal(try RecordCoding.encode(slot), kind: .keySlot, name: name)
    _ = try await store.create(name.text, object)
    switch try await attempt(id, key) {
    case .opened(repositoryKey): return
    case .absent:
      throw LifeboatError(
        .storeUnavailable, "an object that was just written to \(store.location) is missing",
        cause: "\(name.text) can't be read back", isRetryable: true)
    case .broken(let error): throw error
    case .opened, .refused:
      throw LifeboatError(
        .corrupt, "\(name.text) at \(store.location) is not the slot of this key",
        cause: "somebody has put another object there",
        hint: "delete it with credentials that may delete; find out who wrote it")
    }
  }

  /// Tries to open the slot with this id with the key.
  func attempt(_ id: String, _ key: EncryptionKey) async throws -> Attempt {
    let name = ObjectPath.key(id)
    let object: [UInt8]
    do {
      guard
        let found = try await store.read(name.text, limit: ObjectKind.keySlot.objectBytesMax)
      else { return .absent }
      object = found
    } catch let error as LifeboatError where error.code == .corrupt {
      return .broken(broken(name, error))
    }
    let slot: KeySlot
    do {
      let content = try frame.open(
        object, kind: .keySlot, name: name, limit: KeySlot.sizeMax
      ).content
      slot = try RecordCoding.decode(KeySlot.self, from: content, name: name.text)
    } catch let error as LifeboatError {
      return .broken(broken(name, error))
    }
    let opened = try? slot.repositoryKey(unwrappingWith: key.bytes, repository: repository)
    return opened.map { .opened($0) } ?? .refused
  }

  private func broken(_ name: ObjectPath, _ error: LifeboatError) -> LifeboatError {
    if error.code == .versionMismatch { return error }
    return LifeboatError(
      .corrupt, "the key slot \(name.text) at \(store.location) is damaged",
      cause: error.cause ?? error.message,
      hint: "recover it from a copy or an older version: without it, its key opens nothing")
  }

  /// A slot of a listing.
  struct Listed {
    var id: String
    /// By the store's clock.
    var modified: Instant
  }

  /// The first slots for which `isWanted` is true, and how many more there are. Slots that are named after
  /// keys come first, each kind by id. So the choice does not depend on the order in which the store lists
  /// them.
  func listed(where isWanted: (String) -> Bool) async throws -> (first: [Listed], more: Int) {
    var (first, more): ([Listed], Int) = ([], 0)
    try await store.eachPage(prefix: "keys/") { page in
      for entry in page.entries {
        guard case .key(let id) = ObjectPath(entry.name), isWanted(id) else { continue }
        first.append(Listed(id: id, modified: entry.modified))
      }
      first.sort {
        (KeySlot.isAdded($0.id) ? 0 : 1, $0.id) < (KeySlot.isAdded($1.id) ? 0 : 1, $1.id)
      }
      more += max(0, first.count - KeySlots.triesMax)
      first = Array(first.prefix(KeySlots.triesMax))
      return true
    }
    return (first, more)
  }
}
