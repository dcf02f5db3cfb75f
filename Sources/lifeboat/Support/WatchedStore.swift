import ObjectStorage

/// A store of a command for which a person waits: what is listed and read is shown.
struct WatchedStore: StoreLayer {
  let base: any ObjectStore

  func read(_ name: String) async throws -> [UInt8]? {
    let object = try await base.read(name)
    Progress.count(read: 1)
    return object
  }

  func list(prefix: String, continuing: String?) async throws -> ListPage {
    let page = try await base.list(prefix: prefix, continuing: continuing)
    Progress.count(listed: page.entries.count)
    return page
  }
}
