import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage
import Testing

@testable import S3Storage

@Suite struct S3ReplyTests {
  private func listing(_ inner: String) throws -> S3Listing {
    try S3Listing(Array("<ListBucketResult xmlns=\"u\">\(inner)</ListBucketResult>".utf8))
  }
  private func entry(_ key: String, size: String = "7", time: String = "2026-11-22T14:02:07.000Z")
    -> String
  {
    "<Contents><Key>\(key)</Key><Size>\(size)</Size><LastModified>\(time)</LastModified></Contents>"
  }

  @Test func readsAPage() throws {
    let page = try listing(
      entry("a&amp;b")
        + "<IsTruncated>true</IsTruncated><NextContinuationToken>t+/=</NextContinuationToken>")
    #expect(page.entries.map(\.name) == ["a&b"] && page.entries[0].size == 7)
    #expect(page.entries[0].modified == Instant(seconds: 1_795_356_127))
    #expect(page.next == "t+/=" && !page.isAmbiguous)
    let encoded = try listing(
      "<EncodingType>url</EncodingType>" + entry("a+b%2Bc%E1%88%B4")
        + "<IsTruncated>false</IsTruncated>")
    #expect(encoded.entries.map(\.name) == ["a b+cሴ"] && encoded.isAmbiguous && encoded.next == nil)
    #expect(
      try !listing(
        "<EncodingType>url</EncodingType>" + entry("a%20b") + "<IsTruncated>false</IsTruncated>"
      ).isAmbiguous)
  }

  /// If any part is missing, nothing may be concluded.
  @Test func refusesIncompletePages() throws {
    let bodies = [
      "", "<Error><Code>InternalError</Code></Error>", "<ListBucketResult>",
      "<ListBucketResult/>", "<html><body>hello</body></html>",
      "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
      "<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>",
      "<ListBucketResult><IsTruncated>false</IsTruncated><Contents/></ListBucketResult>",
      "<ListBucketResult>\(entry("a", size: "-1"))<IsTruncated>false</IsTruncated></ListBucketResult>",
      "<ListBucketResult>\(entry("a", time: "now"))<IsTruncated>false</IsTruncated></ListBucketResult>",
      "<ListBucketResult><EncodingType>url</EncodingType>\(entry("%zz"))<IsTruncated>false</IsTruncated></ListBucketResult>",
    ]
    for body in bodies {
      let error = #expect(throws: LifeboatError.self) { try S3Listing(Array(body.utf8)) }
      #expect(error?.code == .storeUnavailable && error?.isRetryable == true, "\(body)")
    }
  }

  @Test func writesAndReadsDeletions() throws {
    let body = try #require(S3Deletion.body(["a<&>\"b", "c\nd"]))
    let text = String(decoding: body, as: UTF8.self)
    #expect(
      text.contains("<Key>a&lt;&amp;&gt;&quot;b</Key>") && text.contains("<Key>c&#10;d</Key>"))
    #expect(S3Deletion.body(["a\u{1}"]) == nil)
    let failures = try S3Deletion.failures(
      Array(
        "<DeleteResult><Deleted><Key>x</Key></Deleted><Error><Key>a</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"
          .utf8))
    #expect(failures.map(\.key) == ["a"] && failures[0].fault.code == "AccessDenied")
    for body in ["", "<Error/>", "<DeleteResult>"] {
      #expect(throws: LifeboatError.self) { try S3Deletion.failures(Array(body.utf8)) }
    }
  }

  private func fault(_ status: Int, _ body: String, _ headers: [(String, String)] = []) -> S3Fault {
    S3Fault(HTTPResponse(status: status, headers: HTTPHeaders(headers), body: Array(body.utf8)))
  }

  @Test func learnsTheRegionWhereverItStands() {
    #expect(fault(301, "", [("x-amz-bucket-region", "eu-west-1")]).region == "eu-west-1")
    #expect(
      fault(
        400, "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-2</Region></Error>"
      ).region == "eu-west-2")
    #expect(
      fault(
        400,
        "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'a' is wrong; expecting 'eu-west-3'</Message></Error>"
      ).region == "eu-west-3")
    #expect(
      fault(
        301,
        "<Error><Code>PermanentRedirect</Code><Endpoint>b.s3-us-west-2.amazonaws.com</Endpoint></Error>"
      ).region == "us-west-2")
    #expect(
      fault(
        301,
        "<Error><Code>PermanentRedirect</Code><Endpoint>b.s3.us-east-2.amazonaws.com</Endpoint></Error>"
      ).region == "us-east-2")
    #expect(
      fault(
        301, "<Error><Code>PermanentRedirect</Code><Endpoint>s3.amazonaws.com</Endpoint></Error>"
      ).region == nil)
    #expect(fault(301, "", [("x-amz-bucket-region", "evil.example/x")]).region == nil)
  }

  /// An error body repeats what was signed, including the token. None of this is kept.
  @Test func keepsNoSecretOfAnErrorBody() {
    let fault = fault(
      403,
      "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message><CanonicalRequest>x-amz-security-token:planted</CanonicalRequest><Token-0>planted</Token-0></Error>"
    )
    let error = fault.error(.read, "s3://b/x", accessKeyID: "AKIA")
    #expect(!"\(fault)\(error)".contains("planted"))
    #expect(error.hint?.contains("secret access key") == true)
  }
}
