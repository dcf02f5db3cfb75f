import BackupTypes
import Testing

@testable import CloudAuth
@testable import S3Storage

@Suite struct S3LocationTests {
  @Test func readsEveryOption() throws {
    let location = try S3Location(
      url: "s3://my-bucket/a%20b/c/?endpoint=https%3A%2F%2Fhost:9000/&region=eu-west-1"
        + "&path-style=false&sse=aws:kms&kms-key=alias/x&storage-class=STANDARD_IA&anonymous=true")
    #expect(location.bucket == "my-bucket" && location.prefix == "a b/c")
    #expect(location.endpoint == "https://host:9000" && location.region == "eu-west-1")
    #expect(location.usesPathStyle == false && location.isAnonymous)
    #expect(location.encryption == .kms(algorithm: "aws:kms", key: "alias/x"))
    #expect(location.storageClass == "STANDARD_IA")
    #expect(location.description == "s3://my-bucket/a b/c")
  }

  @Test func readsTheLeast() throws {
    for url in ["s3://b", "S3://b/", "s3://b?"] {
      let location = try S3Location(url: url)
      #expect(location.bucket == "b" && location.prefix == "" && location.endpoint == nil)
      #expect(location.usesPathStyle == nil && !location.isAnonymous && location.encryption == nil)
    }
    #expect(try S3Location(url: "s3://b/p?sse=AES256").encryption == .managed)
    #expect(
      try S3Location(url: "s3://b/p?kms-key=k").encryption == .kms(algorithm: "aws:kms", key: "k"))
  }

  @Test(arguments: [
    ("s3://", "bucket"), ("s3:///x", "bucket"), ("gs://b", "s3://"), ("s3://b/p#x", "%23"),
    ("s3://KEY:SECRET@b/p", "credentials are not allowed"), ("s3://b/a//b", "prefix"),
    ("s3://b/../x", "prefix"),
    ("s3://b/p\n", "white space"), (" s3://b/p", "white space"), ("s3://b/p%20/q", "white space"),
    ("s3://b/p/ q", "white space"), ("s3://b\n", "white space"),
    ("s3://b?region=a\n", "white space"),
    ("s3://b/%zz", "percent"), ("s3://b?unknown=1", "unknown is unknown"),
    ("s3://b?region=", "no value"),
    ("s3://b?region", "no value"), ("s3://b?region=a&region=b", "twice"),
    ("s3://b?region=A_B", "region"),
    ("s3://b?path-style=yes", "true or false"), ("s3://b?anonymous=1", "true or false"),
    ("s3://b?endpoint=host:9000", "https://"), ("s3://b?endpoint=https://", "endpoint"),
    ("s3://b?endpoint=https://u:p@h", "endpoint"), ("s3://b?endpoint=https://h?x", "endpoint"),
    ("s3://b?sse=none", "AES256"), ("s3://b?sse=AES256&kms-key=k", "aws:kms"),
    ("s3://b?storage-class=DEEP_ARCHIVE", "can't be read"),
    ("s3://b?storage-class=a%0Ab", "looks like"),
    ("s3://b\u{e9}", "bucket"), ("s3://b?kms-key=a%0Ab", "kms-key"),
  ])
  func refuses(_ url: String, _ words: String) {
    let error = #expect(throws: LifeboatError.self) { try S3Location(url: url) }
    #expect(
      error?.code == .usage && error?.cause?.contains(words) == true, "\(String(describing: error))"
    )
    #expect(error?.hint?.contains("s3://bucket/prefix") == true)
    #expect(error?.description.contains("SECRET") == false)
  }

  private func target(
    _ url: String, key: String? = "k", region: String = "eu-west-1",
    variant: S3Address.Variant = S3Address.Variant()
  ) throws -> String {
    let location = try S3Location(url: url)
    let address = S3Address(location, endpoint: location.endpoint, variant: variant)
    let (origin, path) = address.target(key: key, region: region)
    return origin + path
  }

  @Test(arguments: [
    ("http://127.0.0.1:9000", true), ("http://localhost", true), ("http://[::1]:9000/x", true),
    ("http://minio:9000", true), ("http://minio.storage.svc:9000", true),
    ("HTTP://minio.storage.svc.cluster.local", true), ("https://minio.example.com", true),
    ("http://minio.example.com:9000", false), ("http://10.0.0.7", false),
    ("http://127.0.0.1.example.com", false), ("http://localhost.example.com", false),
    ("http://[2001:db8::1]:9000", false), ("http://svc.example.com", false),
    ("http://3232235777", false),
  ])
  func `plain HTTP only near, or if asked for`(endpoint: String, isAllowed: Bool) throws {
    let location = try S3Location(url: "s3://b/p?endpoint=\(endpoint)")
    let given = try #require(location.endpoint)
    if isAllowed {
      try location.check(given)
    } else {
      let error = #expect(throws: LifeboatError.self) { try location.check(given) }
      #expect(error?.code == .usage && error?.hint?.contains("allow-http=true") == true)
    }
    try S3Location(url: "s3://b/p?endpoint=\(endpoint)&allow-http=true").check(given)
  }

  @Test(arguments: [
    "s3://AKIA:SECRET/p", "s3://KEY:SECRET@b/p", "s3://b/p?endpoint=https://u:SECRET@h",
    "s3://b/p?region=SECRET/", "s3://b/p?secret-key=SECRET", "s3://b/p?SECRET",
    "s3://b/p?kms-key=SECRET&sse=AES256",
  ])
  func `a secret in a wrong URL is not repeated`(url: String) {
    let error = #expect(throws: LifeboatError.self) { try S3Location(url: url) }
    #expect(error?.code == .usage && error?.description.contains("SECRET") == false, "\(error!)")
  }

  @Test func addresses() throws {
    #expect(try target("s3://b") == "https://b.s3.eu-west-1.amazonaws.com/k")
    #expect(try target("s3://b", key: nil) == "https://b.s3.eu-west-1.amazonaws.com/")
    #expect(
      try target("s3://b", region: "cn-north-1") == "https://b.s3.cn-north-1.amazonaws.com.cn/k")
    #expect(try target("s3://b?path-style=true") == "https://s3.eu-west-1.amazonaws.com/b/k")
    #expect(try target("s3://b.c") == "https://s3.eu-west-1.amazonaws.com/b.c/k")
    #expect(try target("s3://b?endpoint=http://h:1") == "http://h:1/b/k")
    #expect(try target("s3://b?endpoint=http://h:1", key: nil) == "http://h:1/b")
    #expect(try target("s3://b?endpoint=http://h:1/x/y/") == "http://h:1/x/y/b/k")
    #expect(try target("s3://b?endpoint=http://h:1/x&path-style=false") == "http://b.h:1/x/k")
    #expect(
      try target("s3://b", key: "a b/é+%?#")
        == "https://b.s3.eu-west-1.amazonaws.com/a%20b/%C3%A9%2B%25%3F%23")
    let variant = S3Address.Variant(usesFIPS: true, usesDualStack: true)
    #expect(
      try target("s3://b", variant: variant)
        == "https://b.s3-fips.dualstack.eu-west-1.amazonaws.com/k")
  }

  @Test func digestsForContentMD5() {
    // RFC 1321, A.5, in base64.
    #expect(contentMD5([]) == "1B2M2Y8AsgTpgAmY7PhCfg==")
    #expect(contentMD5(Array("abc".utf8)) == "kAFQmDzST7DWlj99KOF/cg==")
    #expect(contentMD5(Array("message digest".utf8)) == "+WtpfXy3k41SWi8xqvFh0A==")
  }
}
