import BackupTypes
import Codec
import HTTPTransport
import Testing

@testable import CloudAuth

/// Compares with AWS's published signatures: the signing test suite of its SDKs (header signing, keys and
/// date as in its `context.json`), and the examples of the S3 API reference, "Signature Calculations for the
/// Authorization Header: Transferring Payload in a Single Chunk".
@Suite struct SigV4Tests {
  struct Vector: CustomTestStringConvertible, Sendable {
    var name: String
    var method = "GET"
    var path = "/"
    var query: [(String, String)] = []
    var headers: [(String, String)] = []
    var body = ""
    var token: String?
    var signature: String
    var testDescription: String { name }
  }

  static let suite: [Vector] = [
    Vector(
      name: "get-vanilla-query-order-key-case",
      query: [("Param2", "value2"), ("Param1", "value1")],
      signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    Vector(
      name: "get-vanilla-empty-query-key", query: [("Param1", "value1")],
      signature: "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
    Vector(
      name: "get-vanilla-utf8-query", query: [("ሴ", "bar")],
      signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
    Vector(
      name: "get-utf8", path: URIEncoding.encode("/ሴ", keepingSlashes: true),
      signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    Vector(
      name: "get-space-unnormalized",
      path: URIEncoding.encode("/example space/", keepingSlashes: true),
      signature: "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
    Vector(
      name: "get-unreserved",
      path: URIEncoding.encode(
        "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", keepingSlashes: true),
      signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
    Vector(
      name: "get-slashes-unnormalized", path: "//example//",
      signature: "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5"),
    Vector(
      name: "get-header-key-duplicate",
      headers: [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
      signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
    Vector(
      name: "get-header-value-trim",
      headers: [("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
      signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
    Vector(
      name: "post-vanilla", method: "POST",
      signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    Vector(
      name: "post-x-www-form-urlencoded", method: "POST",
      headers: [
        ("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", "13"),
        (
          "x-amz-content-sha256",
          "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
        ),
      ], body: "Param1=value1",
      signature: "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"),
    Vector(
      name: "get-vanilla-with-session-token",
      token: "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
      signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"),
  ]

  @Test(arguments: suite) func signingSuite(_ vector: Vector) throws {
    let credentials = AWSCredentials(
      accessKeyID: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    let scope = SigV4.Scope(
      time: try Instant(parsing: "2015-08-30T12:36:00Z", now: Instant(milliseconds: 0)),
      region: "us-east-1", service: "service")
    var headers = [("Host", "example.amazonaws.com"), ("X-Amz-Date", scope.timestamp)]
    headers += vector.headers
    if let token = vector.token { headers.append(("X-Amz-Security-Token", token)) }
    let authorization = SigV4.authorization(
      SigV4.Request(
        method: vector.method, path: vector.path, query: vector.query, headers: headers,
        payloadDigest: SHA256Hasher.digest(of: Array(vector.body.utf8)).hexadecimal),
      scope: scope, credentials: credentials)
    #expect(authorization.hasSuffix("Signature=" + vector.signature))
  }

  static let s3: [Vector] = [
    Vector(
      name: "GET Object", path: "/test.txt", headers: [("Range", "bytes=0-9")],
      signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    Vector(
      name: "PUT Object", method: "PUT",
      path: URIEncoding.encode("/test$file.text", keepingSlashes: true),
      headers: [
        ("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
      ], body: "Welcome to Amazon S3.",
      signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
    Vector(
      name: "GET Bucket Lifecycle", query: [("lifecycle", "")],
      signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    Vector(
      name: "GET Bucket (List Objects)", query: [("prefix", "J"), ("max-keys", "2")],
      signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
  ]

  /// Through `SignedRequest`, which signs the real requests.
  @Test(arguments: s3) func s3Examples(_ vector: Vector) throws {
    let credentials = AWSCredentials(
      accessKeyID: "AKIAIOSFODNN7EXAMPLE",
      secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    let method = try #require(HTTPRequest.Method(rawValue: vector.method))
    let query = SigV4.canonicalQuery(vector.query)
    var request = HTTPRequest(
      method,
      "https://examplebucket.s3.amazonaws.com:443" + vector.path
        + (query.isEmpty ? "" : "?" + query),
      headers: HTTPHeaders(vector.headers), body: Array(vector.body.utf8))
    SignedRequest(
      path: vector.path, query: vector.query,
      payloadDigest: SHA256Hasher.digest(of: request.body).hexadecimal,
      scope: SigV4.Scope(
        time: try Instant(parsing: "2013-05-24T00:00:00Z", now: Instant(milliseconds: 0)),
        region: "us-east-1", service: "s3")
    ).sign(&request, with: credentials)
    #expect(request.headers["Authorization"]?.hasSuffix("Signature=" + vector.signature) == true)
    #expect(request.headers["x-amz-date"] == "20130524T000000Z")
  }

  @Test func theStepsAreThoseOfTheDocumentation() throws {
    let scope = SigV4.Scope(
      time: Instant(milliseconds: 1_369_353_600_123), region: "us-east-1", service: "s3")
    let empty = SHA256Hasher.digest(of: [UInt8]()).hexadecimal
    let request = SigV4.Request(
      method: "GET", path: "/test.txt", query: [],
      headers: [
        ("Host", "examplebucket.s3.amazonaws.com"), ("Range", "bytes=0-9"),
        ("x-amz-content-sha256", empty), ("x-amz-date", "20130524T000000Z"),
      ], payloadDigest: empty)
    #expect(
      SigV4.canonicalRequest(request) == """
        GET
        /test.txt

        host:examplebucket.s3.amazonaws.com
        range:bytes=0-9
        x-amz-content-sha256:\(empty)
        x-amz-date:20130524T000000Z

        host;range;x-amz-content-sha256;x-amz-date
        \(empty)
        """)
    #expect(
      SigV4.stringToSign(request, scope: scope) == """
        AWS4-HMAC-SHA256
        20130524T000000Z
        20130524/us-east-1/s3/aws4_request
        7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972
        """)
  }

  @Test(arguments: [
    ("https://h:443/x", "h"), ("https://h:80/x", "h:80"), ("http://h:80", "h"),
    ("http://127.0.0.1:9000/b?x", "127.0.0.1:9000"), ("http://u@h/x", "h"), ("nonsense", ""),
  ])
  func hostAsClientsSendIt(_ url: String, _ host: String) {
    #expect(SignedRequest.host(of: url) == host)
  }

  @Test func percentEncoding() {
    #expect(URIEncoding.encode("a/b c+é~%", keepingSlashes: true) == "a/b%20c%2B%C3%A9~%25")
    #expect(URIEncoding.encode("/") == "%2F")
    #expect(URIEncoding.decode("a%20b+c%c3%A9") == "a b+cé")
    #expect(URIEncoding.decode("a+b%2B", plusIsSpace: true) == "a b+")
    for broken in ["%", "%2", "%zz", "%ff"] { #expect(URIEncoding.decode(broken) == nil) }
    for byte in 0...255 {
      let text = String(UnicodeScalar(UInt8(byte)))
      #expect(URIEncoding.decode(URIEncoding.encode(text)) == text)
    }
  }
}
