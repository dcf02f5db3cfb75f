import BackupTypes
import Testing

@testable import GCSStorage

@Suite struct GCSLocationTests {
  @Test func `reads every option`() throws {
    let location = try GCSLocation(
      url: "gs://my_bucket.example/a%20b/c/?endpoint=https%3A%2F%2Fhost:9000/x/&anonymous=true")
    #expect(location.bucket == "my_bucket.example" && location.prefix == "a b/c")
    #expect(location.endpoint == "https://host:9000/x" && location.isAnonymous == true)
    #expect(location.description == "gs://my_bucket.example/a b/c")
    let least = try GCSLocation(url: "GS://b")
    #expect(least.prefix == "" && least.endpoint == nil && least.isAnonymous == nil)
  }

  @Test(arguments: [
    ("gs://", "bucket"), ("s3://b", "gs://"), ("gs://b/p#x", "%23"),
    ("gs://KEY:SECRET@b/p", "credentials are not allowed"), ("gs://b/a//b", "prefix"),
    ("gs://b/%zz", "percent"), ("gs://b?region=x", "unknown"), ("gs://b?anonymous=1", "true or"),
    ("gs://b?anonymous=true&anonymous=true", "twice"), ("gs://b?endpoint=host:1", "https://"),
  ])
  func `refuses`(_ url: String, _ words: String) {
    let error = #expect(throws: LifeboatError.self) { try GCSLocation(url: url) }
    #expect(
      error?.code == .usage && error?.cause?.contains(words) == true, "\(String(describing: error))"
    )
    #expect(error?.hint?.contains("gs://bucket/prefix") == true)
    #expect(error?.description.contains("SECRET") == false)
  }

  @Test func `the host of an emulator`() throws {
    #expect(try GCSLocation.endpoint(emulatorHost: "localhost:4443") == "http://localhost:4443")
    #expect(try GCSLocation.endpoint(emulatorHost: "https://h:1/") == "https://h:1")
    #expect(throws: LifeboatError.self) { try GCSLocation.endpoint(emulatorHost: "a b") }
  }
}
