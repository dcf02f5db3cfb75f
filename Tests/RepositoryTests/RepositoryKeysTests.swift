import BackupFormat
import BackupTypes
import Codec
import ObjectStorage
import RepositoryAccess
import TestSupport
import Testing

/// Adding and removing the keys of a repository, and what other people's objects below `keys/` can do.
@Suite struct RepositoryKeysTests {
  private static let first = EncryptionKey(bytes: Array(0..<32))
  private static let second = EncryptionKey(bytes: Array(1..<33))
  private static let third = EncryptionKey(bytes: Array(2..<34))
  private static let clear = Frame(
    compression: .none, secrets: nil, randomBytes: { [UInt8](repeating: 9, count: $0) })

  private func source(_ key: EncryptionKey?) -> KeySource {
    KeySource(file: nil, value: key?.reveal())
  }

  @discardableResult
  private func make(_ store: any ObjectStore, _ key: EncryptionKey? = first) async throws
    -> Repository
  {
    try await Repository.openOrCreate(
      store, keys: source(key), compression: .none, now: Instant(milliseconds: 0))
  }

  private func open(_ store: any ObjectStore, _ key: EncryptionKey?) async throws -> Repository? {
    try await Repository.open(store, keys: source(key))
  }

  private func keys(_ store: any ObjectStore, _ key: EncryptionKey? = first) async throws
    -> RepositoryKeys
  {
    try await RepositoryKeys.open(store, keys: source(key))
  }

  private func name(_ key: EncryptionKey, _ repository: Repository) -> String {
    ObjectPath.key(KeySlot.id(of: key.bytes, repository: repository.id)).text
  }

  /// Adds an intact slot that only another key opens.
  private func plantIntact(_ id: String, in store: MemoryStore, _ repository: Repository) throws {
    let path = ObjectPath.key(id)
    let slot = try KeySlot(
      wrapping: [UInt8](repeating: 7, count: 32), with: [UInt8](repeating: 8, count: 32),
      salt: [UInt8](repeating: 1, count: 16), nonce: [UInt8](repeating: 2, count: 12),
      repository: repository.id)
    store.overwrite(
      path.text, try Self.clear.seal(try RecordCoding.encode(slot), kind: .keySlot, name: path))
  }

  // MARK: The way from one key to the next

  @Test func `a key is added, the old one removed, and the data needs no change`() async throws {
    let store = MemoryStore()
    let repository = try await make(store)
    try await repository.createContent([1, 2, 3], .operation(.pins, id: "p"), kind: .operation)
    let before = store.contents
    let added = try await keys(store).add(Self.second)
    #expect(added.isNew)
    #expect(ObjectPath.key(added.id).text == name(Self.second, repository))
    for key in [Self.first, Self.second] {
      #expect(try await open(store, key)?.frame.digest([1]) == repository.frame.digest([1]))
    }
    #expect(await code { _ = try await open(store, Self.third) } == .wrongKey)

    let old = repository.id.hexadecimal
    let removed = try await keys(store, Self.second).remove([old])
    #expect(removed.removed == [old] && removed.remaining == added.id && !removed.isRestored)
    let error = await #expect(throws: LifeboatError.self) { _ = try await open(store, Self.first) }
    #expect(error?.code == .wrongKey && error?.cause?.contains("removed") == true, "\(error!)")
    let opened = try #require(try await open(store, Self.second))
    let content = try await opened.content(
      .operation(.pins, id: "p"), kind: .operation, limit: 100)
    #expect(content == [1, 2, 3])
    for (name, bytes) in before where !name.hasPrefix("keys/") {
      #expect(store.contents[name] == bytes, "\(name) was written again")
    }
  }

  @Test func `adding a key that opens the repository already writes nothing`() async throws {
    let store = MemoryStore()
    let repository = try await make(store)
    _ = try await keys(store).add(Self.second)
    let before = store.contents
    for (opener, new) in [
      (Self.first, Self.second), (Self.second, Self.first), (Self.second, Self.second),
    ] {
      let again = try await keys(store, opener).add(new)
      #expect(!again.isNew)
      #expect(
        ObjectPath.key(again.id).text
          == (new == Self.first ? "keys/\(repository.id.hexadecimal)" : name(new, repository)))
    }
    #expect(store.contents == before)
  }

  @Test func `the id of a key's slot is what the format says`() throws {
    let repository = try #require(Nonce(hexadecimal: "000102030405060708090a0b0c0d0e0f"))
    #expect(
      KeySlot.id(of: [UInt8](repeating: 0x77, count: 32), repository: repository)
        == "key-0e85b936e6c0c9cfc1fb5a8171bf778c")
  }

  // MARK: What is never removed

  @Test func `the slot of the given key is not removed, nor a slot that is not there`() async throws
  {
    let store = MemoryStore()
    let repository = try await make(store)
    let second = try await keys(store).add(Self.second).id
    let first = repository.id.hexadecimal
    let before = store.contents
    for (key, ids) in [
      (Self.first, [first]), (Self.second, [second]), (Self.first, [second, first]),
      (Self.second, [first, second]), (Self.first, [second, "key-none"]), (Self.first, ["../x"]),
      (Self.first, [""]), (Self.first, ["a/b"]),
    ] {
      let code = await code { _ = try await keys(store, key).remove(ids) }
      #expect(code == .usage, "\(ids)")
    }
    #expect(store.contents == before)
  }

  @Test func `a key whose only other slot is damaged keeps its slot`() async throws {
    let store = MemoryStore()
    let repository = try await make(store)
    store.overwrite(name(Self.first, repository), [1, 2, 3])
    let code = await code {
      _ = try await keys(store).remove([repository.id.hexadecimal])
    }
    #expect(code == .usage)
    #expect(try await open(store, Self.first) != nil)
  }

  @Test func `a store that denies deletions leaves the key, and the error says who may`()
    async throws
  {
    let base = MemoryStore()
    let repository = try await make(base)
    _ = try await keys(base).add(Self.second)
    let store = FaultyStore(base) { call in
      guard call.operation == .delete else { return .pass }
      return .fail(LifeboatError(.storeUnavailable, "denied", cause: "AccessDenied").denied())
    }
    let error = await #expect(throws: LifeboatError.self) {
      _ = try await keys(store, Self.second).remove([repository.id.hexadecimal])
    }
    #expect(error?.code == .storeUnavailable && error?.isDenied == true, "\(error!)")
    #expect(error?.hint?.contains("may delete") == true, "\(error!)")
    #expect(try await open(base, Self.first) != nil)
  }

  /// Each removes the other's key. The result must not be a repository that no key opens.
  @Test func `a key that is removed while it removes another one is written again`() async throws {
    let base = MemoryStore()
    let repository = try await make(base)
    let second = try await keys(base).add(Self.second).id
    let store = FaultyStore(base) { call in
      if call.operation == .delete { base.lose(ObjectPath.key(second).text) }
      return .pass
    }
    let removed = try await keys(store, Self.second).remove([repository.id.hexadecimal])
    #expect(removed.isRestored)
    #expect(try await open(base, Self.second)?.frame.digest([1]) == repository.frame.digest([1]))
  }

  // MARK: What others put there

  /// Somebody who may create objects adds any number of slots, damaged or intact, under every kind of free
  /// name.
  @Test(arguments: [true, false])
  func `garbage below keys keeps no key from opening, and costs a bounded number of requests`(
    isIntact: Bool
  ) async throws {
    let base = MemoryStore()
    let repository = try await make(base)
    _ = try await keys(base).add(Self.second)
    _ = try await keys(base, Self.second).remove([repository.id.hexadecimal])
    var ids = [repository.id.hexadecimal]
    for number in 0..<100 {
      let digits = hexadecimal([UInt8](repeating: UInt8(number), count: 16))
      ids += ["a\(number)", "key-\(digits)", "key-0\(number)", digits]
    }
    for id in ids {
      if isIntact {
        try plantIntact(id, in: base, repository)
      } else {
        base.overwrite(ObjectPath.key(id).text, [1, 2, 3])
      }
    }
    let store = FaultyStore(base)
    #expect(try await open(store, Self.second)?.frame.digest([1]) == repository.frame.digest([1]))
    #expect(store.calls.count == 3 && !store.calls.contains { $0.operation == .list })
    let wrong = FaultyStore(base)
    let code = await code { _ = try await open(wrong, Self.third) }
    // A damaged first slot may have been for any key.
    #expect(code == (isIntact ? .wrongKey : .corrupt))
    #expect(wrong.calls.count < 50)

    let ring = try await keys(base, Self.second)
    let listing = try await ring.listing()
    #expect(listing.keys.count < 50 && listing.keys.count + listing.leftOut == ids.count + 1)
    #expect(listing.keys.filter { $0.state == .current }.map(\.id) == [ring.current])
    #expect(listing.keys.contains { $0.state == (isIntact ? .other : .damaged) })
    _ = try await ring.add(Self.third)
    _ = try await ring.remove(Array(ids.prefix(3)))
    #expect(try await open(base, Self.third) != nil)
  }

  @Test func `damage of another key's slot does not make a wrong key look like damage`()
    async throws
  {
    let store = MemoryStore()
    let repository = try await make(store)
    _ = try await keys(store).add(Self.second)
    store.overwrite(name(Self.second, repository), [1, 2, 3])
    let other = await #expect(throws: LifeboatError.self) { _ = try await open(store, Self.third) }
    #expect(other?.code == .wrongKey, "\(other!)")
    #expect(other?.cause?.contains(name(Self.second, repository)) == true, "\(other!)")
    // For the slot's own key, this is damage.
    let own = await #expect(throws: LifeboatError.self) { _ = try await open(store, Self.second) }
    #expect(own?.code == .corrupt, "\(own!)")
    #expect(own?.message.contains(name(Self.second, repository)) == true, "\(own!)")
  }

  @Test func `a key whose name is taken is not added, and the error names the object`() async throws
  {
    for isIntact in [true, false] {
      let store = MemoryStore()
      let repository = try await make(store)
      let path = name(Self.second, repository)
      if isIntact {
        try plantIntact(String(path.dropFirst("keys/".count)), in: store, repository)
      } else {
        store.overwrite(path, [1, 2, 3])
      }
      let error = await #expect(throws: LifeboatError.self) {
        _ = try await keys(store).add(Self.second)
      }
      #expect(error?.code == .corrupt && error?.message.contains(path) == true, "\(error!)")
      #expect(try await open(store, Self.first) != nil)
    }
  }

  @Test func `listing shows what each slot is`() async throws {
    let store = MemoryStore()
    let repository = try await make(store)
    let second = try await keys(store).add(Self.second).id
    store.overwrite("keys/garbage", [1])
    let unfinished = hexadecimal([UInt8](repeating: 5, count: 16))
    try plantIntact(unfinished, in: store, repository)
    let listing = try await keys(store).listing()
    let states = Dictionary(uniqueKeysWithValues: listing.keys.map { ($0.id, $0.state) })
    #expect(
      states == [
        repository.id.hexadecimal: .current, second: .other, "garbage": .damaged,
        unfinished: .unfinished,
      ])
    #expect(listing.keys.filter(\.isFirst).map(\.id) == [repository.id.hexadecimal])
    #expect(listing.leftOut == 0)
  }

  @Test func `there are no keys without encryption, and none without a repository`() async throws {
    let plain = MemoryStore()
    try await make(plain, nil)
    for key in [nil, Self.first] {
      #expect(await code { _ = try await keys(plain, key) } == .wrongKey)
      #expect(await code { _ = try await keys(MemoryStore(), key) } == .noBackup)
    }
    let encrypted = MemoryStore()
    try await make(encrypted)
    for key in [nil, Self.second] {
      #expect(await code { _ = try await keys(encrypted, key) } == .wrongKey)
    }
  }
}
