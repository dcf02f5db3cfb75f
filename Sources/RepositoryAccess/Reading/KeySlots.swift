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
/// nothing refers to it.
struct KeySlots {
  /// A slot is some 300 bytes.
  private static let sizeMax = 4096
  /// How many slots of a repository are tried: anyone who can write there could leave any number.
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

  private enum Attempt {
    case opened([UInt8])
    /// Intact, and made for another key or another repository.
    case refused
    case absent
    case broken(LifeboatError)
  }

  /// The repository key. Throws `.wrongKey` if every slot is intact and none opens, and `.corrupt` if one
  /// is damaged or all are missing: it is then unknown which key would have opened it.
  func repositoryKey(openedBy key: EncryptionKey) async throws -> [UInt8] {
    let first = repository.hexadecimal
    var refused = 0
    var damage: LifeboatError?
    func judge(_ attempt: Attempt) -> [UInt8]? {
      switch attempt {
      case .opened(let repositoryKey): return repositoryKey
      case .refused: refused += 1
      case .absent: break
      case .broken(let error): damage = damage ?? error
      }
      return nil
    }
    if let found = judge(try await attempt(first, key)) { return found }
    for id in try await others(than: first) {
      if let found = judge(try await attempt(id, key)) { return found }
    }
    if let damage { throw damage }
    guard refused > 0 else {
      throw LifeboatError(
        .corrupt, "the repository at \(store.location) is encrypted, but its key slot is missing",
        cause: "\(ObjectPath.key(first).text) was deleted",
        hint:
          "recover keys/ from a copy or an older version: without it, no key opens the repository")
    }
    throw LifeboatError(
      .wrongKey, "the key does not open the repository at \(store.location)",
      cause: "it was created with another key",
      hint: "use the key that the repository was created with; also check the bucket and prefix")
  }

  /// Wraps a new repository key. When this returns, the slot is durable, and was read back and opened.
  func create(_ repositoryKey: [UInt8], for key: EncryptionKey) async throws {
    let slot = try KeySlot(
      wrapping: repositoryKey, with: key.bytes, salt: secureRandomBytes(KeySlot.saltBytes),
      nonce: secureRandomBytes(RepositorySecrets.nonceBytes), repository: repository)
    let name = ObjectPath.key(repository.hexadecimal)
    let object = try frame.seal(try RecordCoding.encode(slot), kind: .keySlot, name: name)
    _ = try await store.create(name.text, object)
    guard case .opened(repositoryKey) = try await attempt(repository.hexadecimal, key) else {
      throw LifeboatError(
        .storeUnavailable, "an object that was just written to \(store.location) is missing",
        cause: "\(name.text) can't be read back", isRetryable: true)
    }
  }

  private func attempt(_ id: String, _ key: EncryptionKey) async throws -> Attempt {
    let name = ObjectPath.key(id)
    guard let object = try await store.read(name.text) else { return .absent }
    let slot: KeySlot
    do {
      let content = try frame.open(
        object, kind: .keySlot, name: name, limit: KeySlots.sizeMax
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
      hint: "recover it from a copy or an older version: without it, no key opens the repository")
  }

  /// The other slots that may be this repository's. One that is named after another repository was left by
  /// an unfinished creation.
  private func others(than first: String) async throws -> [String] {
    var ids: [String] = []
    try await store.eachPage(prefix: "keys/") { page in
      for entry in page.entries {
        guard case .key(let id) = ObjectPath(entry.name), id != first, Nonce(hexadecimal: id) == nil
        else { continue }
        ids.append(id)
      }
      // Which ones are tried does not depend on the order in which the store lists them.
      ids = Array(ids.sorted().prefix(KeySlots.triesMax))
      return true
    }
    return ids
  }
}
