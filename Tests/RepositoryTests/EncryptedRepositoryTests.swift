import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import ObjectStorage
import Recovery
import RepositoryAccess
import TestSupport
import Testing

/// Creating and opening encrypted repositories: every key with every repository, every place where a creation
/// can stop, and every way to damage a descriptor or a slot.
@Suite struct EncryptedRepositoryTests {
  private static let right = EncryptionKey(bytes: Array(0..<32))
  private static let wrong = EncryptionKey(bytes: Array(1..<33))

  private func keys(_ key: EncryptionKey?) -> KeySource {
    KeySource(file: nil, value: key?.reveal())
  }

  @discardableResult
  private func make(_ store: any ObjectStore, _ key: EncryptionKey? = right) async throws
    -> Repository
  {
    try await Repository.openOrCreate(
      store, keys: keys(key), compression: .none, now: Instant(milliseconds: 0))
  }
  private func open(_ store: any ObjectStore, _ key: EncryptionKey? = right) async throws
    -> Repository?
  {
    try await Repository.open(store, keys: keys(key))
  }

  private func slot(_ store: MemoryStore) throws -> String {
    let slots = store.names.filter { $0.hasPrefix("keys/") }
    #expect(slots.count == 1)
    return try #require(slots.first)
  }

  // MARK: Opening

  @Test(arguments: [true, false], [right, wrong, nil])
  func `every key against every repository`(isEncrypted: Bool, key: EncryptionKey?) async throws {
    let store = MemoryStore()
    let made = try await make(store, isEncrypted ? Self.right : nil)
    let before = store.contents
    let fits = isEncrypted ? key == Self.right : key == nil
    if fits {
      let opened = try #require(try await open(store, key))
      #expect(opened.id == made.id)
      #expect(opened.frame.digest([1, 2, 3]) == made.frame.digest([1, 2, 3]))
      #expect(try await make(store, key).id == made.id)
    } else {
      #expect(await code { _ = try await open(store, key) } == .wrongKey)
      #expect(await code { try await make(store, key) } == .wrongKey)
      for call: () async throws -> Void in [
        { _ = try await RepositoryListing.make(store, keys: keys(key), now: at(0)) },
        {
          _ = try await PointInspection.make(
            store, keys: keys(key), question: .newest(), now: at(0))
        },
      ] { #expect(await code(call) == .wrongKey) }
      let diagnosis = try await RepositoryDiagnosis(store, keys: keys(key), now: at(0)).findings()
      #expect(Diagnosis(diagnosis).exitCode == .wrongKey, "\(diagnosis)")
    }
    #expect(store.contents == before, "opening wrote something")
  }

  @Test func `a key that does not fit is known before any other object is read`() async throws {
    let base = MemoryStore()
    try await make(base)
    for key in [nil, Self.wrong] {
      let store = FaultyStore(base)
      #expect(await code { _ = try await open(store, key) } == .wrongKey)
      for call in store.calls {
        #expect(
          call.name == "lifeboat.json" || call.name.hasPrefix("keys/"), "\(call) came first")
      }
    }
    let store = FaultyStore(base)
    _ = try await open(store)
    #expect(store.calls.count == 2, "the right key costs one request: \(store.calls)")
  }

  @Test func `the key is part of what every object is`() async throws {
    let store = MemoryStore()
    let repository = try await make(store)
    let text = Array(String(repeating: "plain text of a record ", count: 20).utf8)
    let name = ObjectPath.operation(.pins, id: "p")
    let digest = repository.frame.digest(text)
    #expect(digest != SHA256Hasher.digest(of: text), "a digest without a key tells what was hashed")
    try await repository.createContent(text, name, kind: .operation)
    let opened = try #require(try await open(store))
    #expect(try await opened.content(name, kind: .operation, limit: 1000) == text)
    let object = try #require(store.contents[name.text])
    #expect(!String(decoding: object, as: UTF8.self).contains("plain text"))
    // An unencrypted object that someone without the key put there is refused.
    let clear = Frame(compression: .none, secrets: nil, randomBytes: { _ in [] })
    store.overwrite(name.text, try clear.seal(text, kind: .operation, name: name))
    #expect(
      await code { _ = try await opened.content(name, kind: .operation, limit: 1000) } == .corrupt)
  }

  // MARK: Damage

  @Test func `without its slot a repository is damaged, whatever the key`() async throws {
    for key in [Self.right, Self.wrong] {
      let store = MemoryStore()
      try await make(store)
      let name = try slot(store)
      store.lose(name)
      #expect(await code { _ = try await open(store, key) } == .corrupt)
      // The slot of a creation that lost the race does not open this repository.
      let other = MemoryStore()
      try await make(other)
      let left = try slot(other)
      store.overwrite(left, try #require(other.contents[left]))
      #expect(await code { _ = try await open(store, key) } == .corrupt)
    }
  }

  @Test func `a damaged slot is damage and named, never a wrong key`() async throws {
    let whole = MemoryStore()
    try await make(whole)
    let name = try slot(whole)
    let object = try #require(whole.contents[name])
    var damaged = object.indices.map { Array(object.prefix($0)) }
    for index in object.indices where index != 8 {
      for bit in 0..<8 {
        damaged.append(object)
        damaged[damaged.count - 1][index] ^= 1 << bit
      }
    }
    for bytes in damaged {
      whole.overwrite(name, bytes)
      let error = await #expect(throws: LifeboatError.self) { _ = try await open(whole) }
      #expect(error?.code == .corrupt && error?.message.contains(name) == true, "\(error!)")
    }
    var newer = object
    newer[8] = 2
    whole.overwrite(name, newer)
    #expect(await code { _ = try await open(whole) } == .versionMismatch)
  }

  @Test func `a slot of another repository does not open this one`() async throws {
    let (one, two) = (MemoryStore(), MemoryStore())
    try await make(one)
    try await make(two)
    let names = (try slot(one), try slot(two))
    // Under another name, its frame does not match. Under its own name, it is still bound to its repository.
    one.overwrite(names.0, try #require(two.contents[names.1]))
    #expect(await code { _ = try await open(one) } == .corrupt)
    one.lose(names.0)
    one.overwrite(names.1, try #require(two.contents[names.1]))
    #expect(await code { _ = try await open(one) } == .corrupt)
  }

  @Test func `a slot that was added under any name opens it, too`() async throws {
    let store = MemoryStore()
    let repository = try await make(store)
    let first = try KeySlot(
      wrapping: try await repositoryKey(store, repository), with: Self.wrong.bytes,
      salt: [UInt8](repeating: 1, count: 16), nonce: [UInt8](repeating: 2, count: 12),
      repository: repository.id)
    let frame = Frame(compression: .none, secrets: nil, randomBytes: { _ in [] })
    let name = ObjectPath.key("second")
    store.overwrite(
      name.text, try frame.seal(try RecordCoding.encode(first), kind: .keySlot, name: name))
    for key in [Self.right, Self.wrong] {
      #expect(
        try await open(store, key)?.frame.digest([1]) == repository.frame.digest([1]))
    }
    let third = EncryptionKey(bytes: Array(2..<34))
    #expect(await code { _ = try await open(store, third) } == .wrongKey)
  }

  private func repositoryKey(_ store: MemoryStore, _ repository: Repository) async throws
    -> [UInt8]
  {
    let name = ObjectPath.key(repository.id.hexadecimal)
    let frame = Frame(compression: .none, secrets: nil, randomBytes: { _ in [] })
    let content = try frame.open(
      try #require(store.contents[name.text]), kind: .keySlot, name: name, limit: 4096
    ).content
    return try RecordCoding.decode(KeySlot.self, from: content, name: name.text)
      .repositoryKey(unwrappingWith: Self.right.bytes, repository: repository.id)
  }

  @Test func `any number of slots that others left costs a bounded number of requests`()
    async throws
  {
    let base = MemoryStore()
    try await make(base)
    for number in 0..<200 { base.overwrite("keys/left-\(number)", [1, 2, 3]) }
    let store = FaultyStore(base)
    _ = try await open(store)
    #expect(store.calls.count == 2)
    #expect(await code { _ = try await open(store, Self.wrong) } == .wrongKey)
    #expect(store.calls.count < 50)
  }

  // MARK: Making

  @Test func `the slot is durable, and was seen to open, before the descriptor names it`()
    async throws
  {
    let base = MemoryStore()
    let store = FaultyStore(base)
    try await make(store)
    let calls = store.calls.map { "\($0.operation) \($0.name.split(separator: "/").first ?? "")" }
    let slot = try #require(calls.firstIndex(of: "create keys"))
    let descriptor = try #require(calls.firstIndex(of: "create lifeboat.json"))
    #expect(slot < descriptor && calls[slot..<descriptor].contains("read keys"), "\(calls)")
  }

  /// Whichever call fails, and whether its work was done or not: afterwards there is either no repository for
  /// any key, or the repository that the key opens. The next start completes it.
  @Test(arguments: 1...12, [true, false])
  func `a creation that stops anywhere`(number: Int, isDone: Bool) async throws {
    let base = MemoryStore()
    let store = FaultyStore(base) { call in
      guard call.number >= number else { return .pass }
      return call.number == number && isDone
        ? .loseReply(FaultyStore.unreachable) : .fail(FaultyStore.unreachable)
    }
    if (try? await make(store)) != nil { return }
    if base.names.contains("lifeboat.json") {
      #expect(try await open(base) != nil)
      #expect(await code { _ = try await open(base, Self.wrong) } == .wrongKey)
      #expect(await code { _ = try await open(base, nil) } == .wrongKey)
    } else {
      for key in [Self.right, Self.wrong, nil] {
        #expect(try await open(base, key) == nil, "slots alone are nothing: \(base.names)")
      }
    }
    try await make(base)
    #expect(try await open(base) != nil)
  }

  @Test func `a store that loses the slot gets no descriptor`() async throws {
    let base = MemoryStore()
    let store = FaultyStore(base)
    store.decide { call in
      if call.operation == .read, call.name.hasPrefix("keys/") { base.lose(call.name) }
      return .pass
    }
    #expect(await code { try await make(store) } == .storeUnavailable)
    #expect(!base.names.contains("lifeboat.json"))
  }

  @Test func `a stray object beside slots alone is still no empty place`() async throws {
    let store = MemoryStore()
    store.overwrite("keys/abc", [1])
    #expect(try await open(store) == nil)
    store.overwrite("keys/Not A Slot", [1])
    #expect(await code { _ = try await open(store) } == .corrupt)
  }

  /// Both have seen that nothing exists before either one writes. The store refuses the second.
  @Test(arguments: [right, wrong, nil], [right, nil])
  func `two that make one repository at once end with one`(
    first: EncryptionKey?, second: EncryptionKey?
  ) async throws {
    let base = MemoryStore()
    let (one, two) = (FaultyStore(base), FaultyStore(base))
    let gates = [one, two].map { store in
      store.hold { operation, name in operation == .create && name == "lifeboat.json" }
    }
    let results = await withTaskGroup(of: (Int, Result<Repository, any Error>).self) { group in
      for (number, (store, key)) in [(one, first), (two, second)].enumerated() {
        group.addTask {
          do {
            return (number, .success(try await make(store, key)))
          } catch {
            return (number, .failure(error))
          }
        }
      }
      for gate in gates { await gate.waitUntilHolding(1) }
      for gate in gates { gate.open() }
      return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
    let successes = results.values.compactMap { try? $0.get() }
    if first == second {
      try #require(successes.count == 2, "\(results)")
      #expect(successes[0].id == successes[1].id)
      #expect(successes[0].frame.digest([1]) == successes[1].frame.digest([1]))
    } else {
      #expect(successes.count == 1, "\(results)")
      for case .failure(let error) in results.values {
        #expect((error as? LifeboatError)?.code == .wrongKey, "\(error)")
      }
    }
  }

  @Test func `a descriptor that comes while the place is looked at is found`() async throws {
    let base = MemoryStore()
    try await make(base)
    let store = FaultyStore(LateDescriptor(base))
    #expect(try await open(store) != nil)
  }
}

/// A store that shows its descriptor only from the second read on.
private final class LateDescriptor: StoreLayer {
  let base: any ObjectStore
  private let asked = MemoryStore()

  init(_ base: MemoryStore) { self.base = base }

  func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    if name == "lifeboat.json", try await asked.create(name, []) == .created { return nil }
    return try await base.read(name, limit: limit)
  }
}
