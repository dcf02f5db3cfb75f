package import Auditing
package import BackupFormat
package import BackupTypes
package import Codec
import HistoryLogic
package import ObjectStorage
import SystemIO

/// A repository with types: names and frames in, records out. Every method makes one or a few store calls
/// and fails with an error that names the object.
package struct Repository: Sendable {
  package let store: any ObjectStore
  package let descriptor: Descriptor
  package let frame: Frame
  /// Receives what the store acknowledges. Nil if there is no audit.
  package var acknowledged: Acknowledgements?

  package var id: Nonce { descriptor.repository }

  /// A command that a person can copy.
  /// - Parameter url: the value of `--repo`, with its options. Nil for the name that the store gives itself.
  package func command(_ url: String?) -> RestoreCommand {
    RestoreCommand(
      repository: url ?? store.location, isEncrypted: descriptor.cipher != .none)
  }

  /// How many records are read at the same time.
  static let readWidth = 8

  /// Opens the repository at `store`; nil if a complete listing shows that it is empty.
  ///
  /// The key is checked before any object but the descriptor is read: a wrong or missing key is
  /// `.wrongKey`, and never looks like damage or like an empty repository.
  package static func open(
    _ store: any ObjectStore, keys: KeySource = .none, compression: Compression = .zstd
  ) async throws -> Repository? {
    try await open(store, key: try keys.read(), compression: compression)
  }

  private static func open(
    _ store: any ObjectStore, key: EncryptionKey?, compression: Compression
  ) async throws -> Repository? {
    guard let descriptor = try await descriptor(store) else { return nil }
    var secrets: RepositorySecrets?
    if let key = try descriptor.keyToUse(key, location: store.location) {
      let slots = KeySlots(store: store, repository: descriptor.repository)
      secrets = RepositorySecrets(
        repositoryKey: try await slots.repositoryKey(openedBy: key),
        repository: descriptor.repository)
    }
    return Repository(
      store: store, descriptor: descriptor, compression: compression, secrets: secrets)
  }

  /// Folders that only repositories have.
  static let folders: Set<String> = ["timelines", "generations", "ops", "keys"]

  /// Nil if a complete listing shows that there is no repository.
  static func descriptor(_ store: any ObjectStore) async throws -> Descriptor? {
    guard let bytes = try await descriptorBytes(store) else { return nil }
    return try RecordCoding.decodeDescriptor(bytes, location: store.location)
  }

  /// Nil if there is no descriptor, and nothing that prevents creating a repository.
  private static func descriptorBytes(_ store: any ObjectStore) async throws -> [UInt8]? {
    let name = ObjectPath.descriptor.text
    if let bytes = try await store.read(
      name, limit: RecordCoding.descriptorSizeMax)
    {
      return bytes
    }
    guard let first = try await firstObject(store) else { return nil }
    // It may have been created between the read and the listing.
    if let bytes = try await store.read(
      name, limit: RecordCoding.descriptorSizeMax)
    {
      return bytes
    }
    let isOwn = folders.contains { first.hasPrefix($0 + "/") }
    throw LifeboatError(
      .corrupt, "\(store.location) holds objects but no lifeboat.json",
      cause: "the first is \(printable(first))",
      hint: isOwn
        ? "check the prefix; if this was a repository, recover lifeboat.json from a copy"
        : "check the prefix: `lifeboat fleet` with this --repo shows the repositories below it")
  }

  /// The first name of a complete listing. Probes, of which one may have been left behind, do not count.
  /// Neither do key slots: they are written before the descriptor, and open nothing without it.
  private static func firstObject(_ store: any ObjectStore) async throws -> String? {
    func counts(_ name: String) -> Bool {
      if case .key = ObjectPath(name) { return false }
      return !name.hasPrefix(ObjectPath.operations(.probes))
    }
    var found: String?
    try await store.eachPage(prefix: "") { page in
      found = page.entries.first { counts($0.name) }?.name
      return found == nil
    }
    return found
  }

  /// Opens the repository at `store`, or creates one, encrypted if a key is given. If two processes create it
  /// at the same time, the descriptor of one of them stays, and the key of each process has to open that
  /// repository.
  package static func openOrCreate(
    _ store: any ObjectStore, keys: KeySource, compression: Compression, now: Instant
  ) async throws -> Repository {
    let key = try keys.read()
    try await store.prepare()
    if let repository = try await open(store, key: key, compression: compression) {
      return repository
    }
    let id = Nonce(bytes: secureRandomBytes(Nonce.byteCount))!
    if let key {
      let slots = KeySlots(store: store, repository: id)
      try await slots.create(
        secureRandomBytes(RepositorySecrets.keyBytes), for: key, id: id.hexadecimal)
    }
    let descriptor = Descriptor(
      repository: id, created: now, cipher: key == nil ? .none : .aes256gcm)
    try await create(descriptor, store)
    guard let repository = try await open(store, key: key, compression: compression) else {
      throw LifeboatError(
        .storeUnavailable, "an object that was just written to \(store.location) is missing",
        isRetryable: true)
    }
    return repository
  }

  /// How long all processes that create one repository at the same time may take to write its descriptor, on
  /// a store that refuses none of them.
  private static let settlingTime = Duration.seconds(5)

  /// Creates the descriptor, and returns when it is known which one stays.
  ///
  /// A store that does not refuse a second creation keeps the last one written. The descriptor's id goes into
  /// every claim, and decides which key reads everything after it. If a writer continued with its own id
  /// after that was overwritten, every reader would take its claims for those of another repository. Such a
  /// store is detected by creating the same descriptor again.
  private static func create(_ descriptor: Descriptor, _ store: any ObjectStore) async throws {
    let name = ObjectPath.descriptor.text
    let bytes = try RecordCoding.encode(descriptor) + [UInt8(ascii: "\n")]
    let isFirst = try await store.create(name, bytes) == .created
    guard isFirst else { return }
    if store.createsConditionally, try await store.create(name, bytes) == .exists { return }
    try await Task.sleep(for: settlingTime)
  }

  init(
    store: any ObjectStore, descriptor: Descriptor, compression: Compression,
    secrets: RepositorySecrets?
  ) {
    self.store = store
    self.descriptor = descriptor
    frame = Frame(
      compression: compression, secrets: secrets, randomBytes: { secureRandomBytes($0) })
  }

  // MARK: Reading

  /// The content of an object; nil only if the store proves that it does not exist.
  package func content(_ name: ObjectPath, kind: ObjectKind, limit: Int) async throws -> [UInt8]? {
    guard
      let object = try await store.read(name.text, limit: Frame.objectBytesMax(content: limit))
    else { return nil }
    return try frame.open(object, kind: kind, name: name, limit: limit).content
  }

  /// A record that the listing shows.
  package func record<Record: Decodable>(
    _ type: Record.Type, _ name: ObjectPath, kind: ObjectKind
  ) async throws -> Record {
    guard let bytes = try await content(name, kind: kind, limit: name.contentBytesMax(kind))
    else {
      var error = LifeboatError(
        .corrupt, "the object \(name.text) is missing",
        cause: "another object of the repository refers to it",
        hint: "`lifeboat list` shows the restore points that do not need it")
      error.missingObject = name.text
      throw error
    }
    return try RecordCoding.decode(type, from: bytes, name: name.text)
  }

  package func claim(_ number: TimelineNumber) async throws -> Claim {
    let claim = try await record(Claim.self, .claim(number), kind: .claim)
    if let problem = claimProblem(claim, number: number, repository: id) {
      throw LifeboatError(
        .corrupt, "the claim of timeline \(number) is invalid", cause: problem,
        hint: "`lifeboat verify` lists all damage")
    }
    return claim
  }

  /// A snapshot by its timeline's own writer; nil for a foreign one, which does not exist for a reader.
  package func snapshot(_ number: TimelineNumber, _ sequence: Int, nonce: Nonce) async throws
    -> Snapshot?
  {
    let name = ObjectPath.snapshot(number, sequence: sequence)
    let snapshot = try await record(Snapshot.self, name, kind: .snapshot)
    guard snapshot.nonce == nonce else { return nil }
    guard snapshot.timeline == number, snapshot.sequence == sequence else {
      throw LifeboatError(
        .corrupt,
        "\(name.text) contains snapshot \(snapshot.sequence) of timeline "
          + "\(snapshot.timeline)",
        hint: "`lifeboat list` shows the restore points that do not need it")
    }
    // Log that is a state by itself is a restore point, even without a durable BASE.
    if snapshot.primary == nil, snapshot.detached?.isWholeState == true {
      return snapshot.behindEmptyBase
    }
    return snapshot
  }

  package func index(_ id: GenerationID) async throws -> GenerationIndex {
    try await record(GenerationIndex.self, .index(id), kind: .index)
  }

  // MARK: Writing

  /// Writes a record under a name without a digest. A retry after a lost reply finds its own bytes and
  /// succeeds. Different bytes belong to another writer.
  package func create(_ record: some Encodable, _ name: ObjectPath, kind: ObjectKind) async throws
    -> CreateOutcome
  {
    let content = try RecordCoding.encode(record)
    let object = try frame.seal(content, kind: kind, name: name)
    if try await store.create(name.text, object) == .exists {
      let existing = try await self.content(name, kind: kind, limit: kind.contentBytesMax)
      guard existing == content else { return .exists }
    }
    acknowledge(record, name)
    return .created
  }

  /// The store has replied that it has the object. From now on an audit relies on that.
  private func acknowledge(_ record: some Encodable, _ name: ObjectPath) {
    acknowledged?.stored(name)
    if let snapshot = record as? Snapshot { acknowledged?.stored(snapshot) }
  }

  /// Creates an existing record again. Returns whether the store refuses that.
  package func createAgain(_ record: some Encodable, _ name: ObjectPath, kind: ObjectKind)
    async throws
    -> Bool
  {
    let object = try frame.seal(try RecordCoding.encode(record), kind: kind, name: name)
    return try await store.create(name.text, object) == .exists
  }

  /// Writes an object whose name contains the digest of its content, so the same name has the same bytes.
  /// - Parameter digest: of the whole content, if known.
  package func createContent(
    _ content: [UInt8], _ name: ObjectPath, kind: ObjectKind, digest: Digest? = nil
  ) async throws {
    let object = try frame.seal(content, kind: kind, name: name, digest: digest)
    _ = try await store.create(name.text, object)
    acknowledged?.stored(name)
  }
}
