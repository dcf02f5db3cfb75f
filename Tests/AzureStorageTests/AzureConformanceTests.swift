import AzureStorage
import BackupTypes
import ObjectStorage
import TestSupport
import Testing

/// The suite that every store passes.
@Suite(.timeLimit(.minutes(5))) struct AzureConformanceTests {
  @Test(arguments: ObjectStoreConformance.all)
  func `a store that checks signatures and checksums`(
    _ check: ObjectStoreConformance.Check
  ) async throws {
    try await check.run(try Cloud().store())
  }

  /// This store sorts by components, so the check of a long listing is left out. The next test makes up for
  /// it.
  @Test(
    arguments: ObjectStoreConformance.all.filter {
      !$0.description.contains(
        "more than a page")
    })
  func `a hierarchical namespace`(_ check: ObjectStoreConformance.Check) async throws {
    try await check.run(try Cloud { $0.isHierarchical = true }.store())
  }

  @Test func `a long listing of a hierarchical namespace`() async throws {
    let cloud = try Cloud {
      $0.isHierarchical = true
      $0.pageMax = 7
    }
    let store = try cloud.store()
    let names = (0..<40).map { "log/\(100 + $0)" } + ["log-before", "log0after", "mid", "z/a/b/c"]
    for name in names { #expect(try await store.create(name, [1]) == .created) }
    for prefix in ["", "log", "log/", "log/12", "z/a/b", "m"] {
      var listed: [String] = []
      try await store.eachPage(prefix: prefix) { page in
        listed += page.entries.map(\.name)
        return true
      }
      #expect(
        listed.sorted() == names.filter { $0.hasPrefix(prefix) }.sorted(), "\(prefix): \(listed)")
    }
    // Only directories are left behind, and nobody sees them.
    #expect(try await store.delete(names).isEmpty)
    #expect(try await ObjectStoreConformance.listAll(store, prefix: "").isEmpty)
    #expect(try await store.read("log") == nil)
  }

  /// The claim's own listing uses the full name of an object as its prefix.
  @Test func `no listing has a prefix that ends within a name`() async throws {
    let cloud = try Cloud { $0.isHierarchical = true }
    let store = try cloud.store()
    _ = try await store.create("timelines/00000001/claim", [1])
    for prefix in ["timelines/00000001/claim", "timelines/0000", "time", ""] {
      let page = try await store.list(prefix: prefix, continuing: nil)
      #expect(page.entries.map(\.name) == ["timelines/00000001/claim"])
    }
    let asked = cloud.azure.server.requests.compactMap { request in
      request.target.firstRange(of: "prefix=").map {
        String(request.target[$0.upperBound...].prefix { $0 != "&" })
      }
    }
    #expect(asked.count == 4 && asked.allSatisfy { $0.hasSuffix("%2F") }, "\(asked)")
  }

  @Test func `a shared access signature, and a token`() async throws {
    for cloud in [try Cloud.withSignature("rcwdl"), try Cloud.withTokens()] {
      let store = try cloud.store()
      try await ObjectStoreConformance.createsOnce(store)
      try await ObjectStoreConformance.takesOurNames(try cloud.store(path: "container/other"))
    }
  }

  @Test func `a connection string says everything`() async throws {
    let azure = try FakeAzureServer()
    let repository = try Given.repository(
      url: "az://container/p",
      environment: ["AZURE_STORAGE_CONNECTION_STRING": azure.connectionString])
    try await ObjectStoreConformance.createsOnce(repository.store)
    #expect(repository.endpointOrigin == "AZURE_STORAGE_CONNECTION_STRING")
    let signed = try Given.repository(
      url: "az://container/q",
      environment: [
        "AZURE_STORAGE_CONNECTION_STRING":
          "BlobEndpoint=\(azure.url);SharedAccessSignature=\(azure.signature("rcl"))"
      ])
    try await ObjectStoreConformance.createsOnce(signed.store)
  }

  /// The account in the host, as in Azure.
  @Test func `the account in the host`() async throws {
    let azure = try FakeAzureServer()
    let store = try Given.repository(
      url: ""
        + "az://container/a%20b?account=\(FakeAzureServer.account)&endpoint=http://\(FakeAzureServer.account).localhost:\(azure.server.port)",
      environment: ["AZURE_STORAGE_KEY": FakeAzureServer.key]
    ).store
    try await ObjectStoreConformance.createsOnce(store)
    #expect(azure.server.requests.allSatisfy { $0.target.hasPrefix("/container") })
  }

  @Test func `at the top of a container`() async throws {
    for check in [ObjectStoreConformance.listsByStringPrefix, ObjectStoreConformance.takesOurNames]
    {
      try await check(try Cloud().store(path: "container"))
    }
  }

  @Test func `names of any characters`() async throws {
    let cloud = try Cloud()
    let store = try cloud.store(path: "container/p%20+q/%C3%A9")
    let names = [
      "a b", "a+b", "a%20b", "a%b", "q?x=1&y=2", "#", "'\"<>&", "~!*()", "tab\tx", "back\\slash",
      "bell\u{7}", "ሴ", "d/e/f",
    ]
    for name in names { #expect(try await store.create(name, Array(name.utf8)) == .created) }
    #expect(
      try await ObjectStoreConformance.listAll(store, prefix: "").map(\.name).sorted()
        == names.sorted())
    for name in names { #expect(try await store.read(name) == Array(name.utf8)) }
    #expect(try await store.delete(names).isEmpty)
    #expect(cloud.azure.names.isEmpty)
  }

  @Test func `pages that are shorter than asked for, or empty`() async throws {
    let cloud = try Cloud {
      $0.pageMax = 3
      $0.hasEmptyPages = true
    }
    let store = try cloud.store()
    for number in 0..<10 { _ = try await store.create("n/\(number)", [1]) }
    #expect(try await ObjectStoreConformance.listAll(store, prefix: "n/").count == 10)
    #expect(try await store.read("n") == nil)
  }
}
