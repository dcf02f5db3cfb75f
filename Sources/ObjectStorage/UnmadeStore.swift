/// A directory that does not exist yet, as it will be when `prepare` has made it: without any object.
package struct UnmadeStore: StoreLayer {
  package let base: any ObjectStore
  package init(base: any ObjectStore) { self.base = base }

  package func read(_ name: String, limit: Int) async throws -> [UInt8]? { nil }
  package func list(prefix: String, continuing: String?) async throws -> ListPage {
    ListPage(entries: [], next: nil)
  }
  package func folder(_ prefix: String) async throws -> StoreFolder { StoreFolder() }
}
