import BackupTypes
import ObjectStorage
import Testing

@Suite struct RepositoryURLTests {
  @Test(arguments: [
    ("file:///backups/redis", "file:///backups/redis"),
    ("FILE:///backups/redis/", "file:///backups/redis"),
    ("file:///with%20space/%C3%A9", "file:///with space/é"),
    ("/backups/redis", "file:///backups/redis"),
    ("/with%20percent", "file:///with%20percent"), ("/a b/c d", "file:///a b/c d"),
  ])
  func understood(_ url: String, _ location: String) throws {
    #expect(try repositoryStore(url: url).location == location)
  }

  @Test(arguments: [
    "", "s3://bucket/prefix", "gs://bucket", "http://host/", "file://relative", "file://host/path",
    "file://", "file:///a?region=x", "file:///a%zz", "file:///a%2", "file:///a%00b", "file:///%ff",
    "://x", " ", "/a\n", " /a", "/a /b", "/a/ b", "/a/\tb/c", "file:///a\n", "file:///a%0A/b",
    "file:///a/b%20", "/a\u{a0}", "file:///a/\r\n", "s3:/bucket/x", "s3//bucket/x", "S3:bucket",
    "gs//bucket/x", "file:/a",
  ])
  func refused(_ url: String) {
    do {
      _ = try repositoryStore(url: url)
      Issue.record("\(url) was taken")
    } catch {
      #expect(error.code == .usage)
      #expect(error.hint?.contains("file:///path") == true)
    }
  }

  /// The URL schemes of other tools for Azure Blob Storage.
  @Test(arguments: ["abs://account@c/p", "azblob://c/p", "AZURE://c/p"])
  func `the schemes of other tools`(_ url: String) throws {
    let error = try #require(throws: LifeboatError.self) { try repositoryStore(url: url) }
    #expect(error.code == .usage && error.cause?.contains("not supported") == true)
    #expect(error.hint?.contains("az://container/prefix?account=NAME") == true)
  }
}
