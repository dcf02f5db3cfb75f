package import BackupTypes

/// A store that passes calls to another store, unless it implements them itself.
package protocol StoreLayer: ObjectStore {
  var base: any ObjectStore { get }
}

extension StoreLayer {
  package var location: String { base.location }
  package var createsConditionally: Bool { base.createsConditionally }
  package var pagesAscend: Bool { base.pagesAscend }
  package var listsSideBySide: Bool { base.listsSideBySide }
  package func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    try await base.create(name, bytes)
  }
  package func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    try await base.read(name, limit: limit)
  }
  package func list(prefix: String, continuing: String?) async throws -> ListPage {
    try await base.list(prefix: prefix, continuing: continuing)
  }
  package func folder(_ prefix: String) async throws -> StoreFolder {
    try await base.folder(prefix)
  }
  package func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    try await base.delete(names)
  }
  package func now() async throws -> Instant? { try await base.now() }
  package func prepare() async throws { try await base.prepare() }
}
