import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import ObjectStorage
import SystemIO

/// The target of a copy. It was opened with its key, and it was verified to be a copy of this source.
struct CopyTarget {
  var repository: Repository
  /// There was no descriptor, so no restore has seen this copy yet.
  var isNew: Bool
  /// Both repositories have the same keys, or neither has one.
  var sharesKeys: Bool
  var catalogue: Catalogue
  var letGo: LetGo
  /// Findings for records of the copy that can't be used.
  var findings: [VerifyFinding] = []

  /// - Parameters:
  ///   - keys: the keys that open the source. They also open a copy without a key of its own.
  ///   - own: the key of the copy; nil if it has none of its own.
  ///   - writes: whether a key slot may be created. Otherwise nothing is written.
  /// - Throws: `.refused` if there is something else at `store`, or if the copy has a history of its own.
  static func open(
    _ store: any ObjectStore, of source: Repository, keys: KeySource, own: KeySource?, writes: Bool
  ) async throws -> CopyTarget {
    if let known = try await descriptor(store) {
      guard known.repository == source.id else {
        throw LifeboatError(
          .refused, "\(store.location) is another repository",
          cause: "its id is \(known.repository.hexadecimal), that of \(source.store.location) is "
            + source.id.hexadecimal,
          hint: "copy to a prefix of its own")
      }
      guard
        let opened = try await Repository.open(
          store, keys: own ?? keys, compression: source.frame.compression)
      else { throw vanished(store) }
      return try await CopyTarget(opened, of: source, isNew: false)
    }
    let descriptor = Descriptor(
      repository: source.id, created: source.descriptor.created,
      cipher: own == nil ? source.descriptor.cipher : .aes256gcm)
    var secrets = source.frame.secrets
    if let key = try own?.read() {
      secrets = try await CopyTarget.secrets(store, source.id, key, writes: writes)
    }
    return try await CopyTarget(
      Repository(
        store: store, descriptor: descriptor, compression: source.frame.compression,
        secrets: secrets),
      of: source, isNew: true)
  }

  private init(_ repository: Repository, of source: Repository, isNew: Bool) async throws {
    self.repository = repository
    self.isNew = isNew
    sharesKeys = repository.frame.digest([0]) == source.frame.digest([0])
    catalogue = Catalogue()
    letGo = LetGo()
  }

  private static func vanished(_ store: any ObjectStore) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, "an object at \(store.location) was just deleted", isRetryable: true)
  }

  /// Nil if there is no descriptor, no matter what else is there.
  private static func descriptor(_ store: any ObjectStore) async throws -> Descriptor? {
    let name = ObjectPath.descriptor.text
    guard let bytes = try await store.read(name, limit: RecordCoding.descriptorSizeMax) else {
      return nil
    }
    return try RecordCoding.decodeDescriptor(bytes, location: store.location)
  }

  /// The keys of a copy that has no descriptor yet. If two runs start the copy at the same time, both get the
  /// same keys: the first slot stays.
  private static func secrets(
    _ store: any ObjectStore, _ id: Nonce, _ key: EncryptionKey, writes: Bool
  ) async throws -> RepositorySecrets {
    let slots = KeySlots(store: store, repository: id)
    var made = secureRandomBytes(RepositorySecrets.keyBytes)
    switch try await slots.attempt(id.hexadecimal, key) {
    case .opened(let found): made = found
    case .refused:
      throw LifeboatError(
        .wrongKey, "the key does not open the copy at \(store.location)",
        cause: "the copy was created with another key",
        hint: "use that key, or another prefix")
    case .broken(let error): throw error
    case .absent where writes:
      do {
        try await slots.create(made, for: key, id: id.hexadecimal)
      } catch let error as LifeboatError where error.code == .corrupt {
        // Another run started the copy at the same moment.
        guard case .opened(let found) = try await slots.attempt(id.hexadecimal, key) else {
          throw error
        }
        made = found
      }
      if !store.createsConditionally {
        try await Task.sleep(for: .seconds(5))
        guard case .opened(let found) = try await slots.attempt(id.hexadecimal, key) else {
          throw vanished(store)
        }
        made = found
      }
    case .absent: break
    }
    return RepositorySecrets(repositoryKey: made, repository: id)
  }

  // MARK: Looking

  /// Lists the copy and compares its claims with those of the source.
  mutating func look(at source: History) async throws {
    var listed = Catalogue()
    try await repository.store.eachPage(prefix: "") { page in
      for entry in page.entries {
        listed.add(name: entry.name, size: entry.size, modified: entry.modified)
      }
      return true
    }
    if isNew, let example = listed.foreignExample {
      throw LifeboatError(
        .refused, "\(repository.store.location) holds something else",
        cause: "the first object of another kind is \(example)",
        hint: "copy to a prefix of its own")
    }
    findings = []
    try await compareClaims(listed, source)
    catalogue = try await repository.withoutUnusable(listed)
    let prunes = try await repository.prunes(catalogue)
    letGo = LetGo(prunes.records)
  }

  private mutating func compareClaims(_ listed: Catalogue, _ source: History) async throws {
    let numbers = listed.timelines.filter { $0.value.hasClaim }.map(\.key).sorted()
    let unreadable = Set(source.unreadable.map(\.timeline))
    var own: [TimelineNumber] = []
    var damaged: [VerifyFinding] = []
    let repository = repository
    try await ReadAhead.run(
      numbers, cost: { _ in 1 << 20 },
      read: { number -> Result<Claim, LifeboatError> in
        do {
          return .success(try await repository.claim(number))
        } catch let error as LifeboatError where error.isDamage {
          return .failure(error)
        }
      },
      take: { number, result in
        switch result {
        case .success(let claim):
          let isSources = source.claims[number].map { $0.nonce == claim.nonce }
          if isSources == false || (isSources == nil && !unreadable.contains(number)) {
            own.append(number)
          }
        case .failure(let error):
          damaged.append(
            VerifyFinding(
              .damaged, ObjectPath.claim(number).text,
              "of the copy at \(repository.store.location): \(error.reason)",
              consequence: "nothing of timeline \(number) can be restored from the copy",
              remedy: "delete it there with credentials that may delete, and copy again"))
        }
      })
    findings += damaged
    if isNew, let first = damaged.first {
      throw LifeboatError(
        .refused, "\(repository.store.location) holds something else",
        cause: "\(first.object) can't be read with the keys of this copy",
        hint: "copy to a prefix of its own")
    }
    guard let first = own.first else { return }
    throw CopyTarget.ownHistory(repository.store, first)
  }

  static func ownHistory(_ store: any ObjectStore, _ number: TimelineNumber) -> LifeboatError {
    LifeboatError(
      .refused, "\(store.location) has a history of its own, from timeline \(number) on",
      cause:
        "a shipper has written there, or the source was replaced by an older state; nothing was"
        + " changed",
      hint:
        "if the copy is the live repository now, stop copying to it, and copy from it to a new prefix; "
        + "if a shipper wrote there by mistake, correct its --repo and copy to a new prefix")
  }
}
