import BackupTypes
import CloudAuth
import Testing

@testable import AzureStorage

@Suite struct AzureLocationTests {
  @Test func `reads every option`() throws {
    let location = try AzureLocation(
      url: "az://my-container/a%20b/c/?account=acct1&endpoint=https%3A%2F%2Fhost:9000/x/")
    #expect(location.container == "my-container" && location.prefix == "a b/c")
    #expect(location.endpoint == "https://host:9000/x" && location.account == "acct1")
    #expect(location.description == "az://my-container/a b/c")
    let least = try AzureLocation(url: "AZ://abc")
    #expect(least.prefix == "" && least.endpoint == nil && least.account == nil)
  }

  @Test(arguments: [
    ("az://", "bucket"), ("s3://b", "az://"), ("az://abc/p#x", "%23"),
    ("az://KEY:SECRET@abc/p", "credentials are not allowed"), ("az://abc/a//b", "prefix"),
    ("az://abc/%zz", "percent"), ("az://abc?region=x", "unknown"),
    ("az://abc?account=a_b", "storage account"), ("az://abc?account=abc&account=abc", "twice"),
    ("az://abc?endpoint=host:1", "https://"), ("az://Abc/p", "3 to 63"), ("az://ab/p", "3 to 63"),
    ("az://abc/redis./one", "ends with \".\""), ("az://abc/redis/one.", "ends with \".\""),
    ("az://a--b/p", "3 to 63"), ("az://a.b/p", "3 to 63"), ("az://-ab/p", "3 to 63"),
    ("az://abc/p?endpoint=https://acct-secondary.blob.core.windows.net", "secondary"),
  ])
  func `refuses`(_ url: String, _ words: String) {
    let error = #expect(throws: LifeboatError.self) { try AzureLocation(url: url) }
    #expect(
      error?.code == .usage && error?.cause?.contains(words) == true, "\(String(describing: error))"
    )
    #expect(error?.hint?.contains("az://bucket/prefix") == true)
    #expect(error?.description.contains("SECRET") == false)
  }

  /// Somebody pastes what the portal shows.
  @Test func `a signature in the URL is not shown`() throws {
    let url = "az://abc/p?sp=rcl&se=2030-01-01&sv=2023-11-03&sr=c&sig=planted%2Bsignature"
    let error = try #require(throws: LifeboatError.self) { try AzureLocation(url: url) }
    #expect(error.code == .usage && error.hint?.contains("AZURE_STORAGE_SAS_TOKEN") == true)
    #expect(!error.description.contains("planted"))
  }

  @Test func `where the account and the endpoint come from`() throws {
    func endpoint(_ url: String, _ environment: [String: String]) throws -> String {
      try Given.repository(url: url, environment: environment).store.exchange.endpoint
    }
    let string = "DefaultEndpointsProtocol=https;AccountName=fromstring;AccountKey=AAAA;"
    let variable = "AZURE_STORAGE_CONNECTION_STRING"
    #expect(
      try endpoint("az://abc?account=fromurl", [:]) == "https://fromurl.blob.core.windows.net")
    #expect(
      try endpoint("az://abc", ["AZURE_STORAGE_ACCOUNT": "fromenv"])
        == "https://fromenv.blob.core.windows.net")
    #expect(
      try endpoint("az://abc", [variable: string + "EndpointSuffix=core.chinacloudapi.cn"])
        == "https://fromstring.blob.core.chinacloudapi.cn")
    #expect(
      try endpoint("az://abc?endpoint=https://private.example/x", [variable: string])
        == "https://private.example/x")
    for (url, environment) in [
      ("az://abc", [:]), ("az://abc?account=other", [variable: string]),
      ("az://abc", ["AZURE_STORAGE_ACCOUNT": "no name"]),
      (
        "az://abc",
        [variable: "BlobEndpoint=https://a-secondary.blob.x;SharedAccessSignature=sig=x"]
      ),
    ] as [(String, [String: String])] {
      let error = try #require(throws: LifeboatError.self) { _ = try endpoint(url, environment) }
      #expect(error.code == .usage, "\(error)")
    }
  }
}
