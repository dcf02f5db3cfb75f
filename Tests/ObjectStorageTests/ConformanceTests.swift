import BackupTypes
import ObjectStorage
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// The suite that every store passes. The fake stores can be trusted because they pass it, too.
@Suite struct ConformanceTests {
  @Test(arguments: ObjectStoreConformance.all)
  func directoryStore(_ check: ObjectStoreConformance.Check) async throws {
    let directory = try TemporaryDirectory()
    let store = DirectoryStore(root: FilePath(directory("repository")))
    try await store.prepare()
    try await check.run(store)
  }

  @Test func directoryStoreOnABlockingPool() async throws {
    let directory = try TemporaryDirectory()
    let store = DirectoryStore(root: FilePath(directory("repository")))
    let pool = try BlockingPool(name: "store", threads: 4)
    try await withTaskExecutorPreference(pool) {
      try await store.prepare()
      try await ObjectStoreConformance.oneOfRacingWritersWins(store)
    }
  }

  @Test(arguments: ObjectStoreConformance.all)
  func memoryStore(_ check: ObjectStoreConformance.Check) async throws {
    try await check.run(MemoryStore())
  }

  @Test(arguments: ObjectStoreConformance.all)
  func faultyStoreWithoutFaults(_ check: ObjectStoreConformance.Check) async throws {
    try await check.run(FaultyStore(MemoryStore()))
  }
}

extension ObjectStoreConformance.Check: CustomTestStringConvertible {
  public var testDescription: String { description }
}
