import BackupTypes
import ObjectStorage
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15))) struct FakeStoreTests {
  @Test func memoryStoreCountsAndHasAClock() async throws {
    let store = MemoryStore(clock: { Instant(seconds: 99) })
    _ = try await store.create("a", [1])
    _ = try await store.create("a", [2])
    _ = try await store.read("b")
    let page = try await store.list(prefix: "", continuing: nil)
    #expect(page.entries == [ObjectEntry(name: "a", size: 1, modified: Instant(seconds: 99))])
    #expect(try await store.now() == Instant(seconds: 99))
    #expect(store.requests(.create) == 2 && store.requests(.read) == 1)
    #expect(store.requestsTotal == 5)
    store.resetRequests()
    #expect(store.requestsTotal == 0)
    store.overwrite("a", [3])
    #expect(store.contents == ["a": [3]])
    store.lose("a")
    #expect(store.names.isEmpty)
  }

  @Test func aFailureDoesNothingAndALostReplyEverything() async throws {
    let memory = MemoryStore()
    let store = FaultyStore(memory) { call in
      switch call.number {
      case 1: .fail(FaultyStore.unreachable)
      case 2: .loseReply(FaultyStore.unreachable)
      default: .pass
      }
    }
    await #expect(throws: LifeboatError.self) { try await store.create("a", [1]) }
    #expect(memory.names.isEmpty)
    await #expect(throws: LifeboatError.self) { try await store.create("a", [1]) }
    #expect(memory.names == ["a"])
    #expect(try await store.create("a", [1]) == .exists)
    #expect(store.calls.map(\.number) == [1, 2, 3])
    #expect(store.calls.map(\.operation) == [.create, .create, .create])
  }

  @Test func aGateHoldsSomeWhileOthersPass() async throws {
    let memory = MemoryStore()
    let store = FaultyStore(memory)
    let gate = store.hold { operation, name in
      operation == .create && name.hasPrefix("generations/")
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<3 {
        group.addTask { _ = try await store.create("generations/g/\(number)", [1]) }
      }
      await gate.waitUntilHolding(3)
      _ = try await store.create("log/1", [1])
      #expect(memory.names == ["log/1"])
      #expect(gate.waiting == 3)
      gate.open()
      try await group.waitForAll()
    }
    #expect(memory.names.count == 4)
    _ = try await store.create("generations/g/late", [1])
    #expect(memory.names.count == 5)
  }

  @Test func deletionsFailByName() async throws {
    let memory = MemoryStore()
    for name in ["a", "b", "c"] { _ = try await memory.create(name, [1]) }
    let store = FaultyStore(memory) { call in
      call.name == "b" ? .fail(FaultyStore.unreachable) : .pass
    }
    #expect(try await store.delete(["a", "b", "c"]).keys.sorted() == ["b"])
    #expect(memory.names == ["b"])
  }
}
