import CloudAuth
import Testing

/// Signatures that Microsoft's own library and an independent signer made of the same requests.
@Suite struct AzureSharedKeyTests {
  private let key =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
  private let account = "lifeboatacct"
  private let blob = "/backups/prefix/a%20b%2Bc%25%C3%A9/00000001.lbs"
  private let common = [
    ("x-ms-client-request-id", "00000000-0000-0000-0000-000000000001"),
    ("x-ms-version", "2026-10-06"), ("x-ms-date", "Sat, 28 Nov 2026 04:00:00 GMT"),
  ]

  private func put(_ path: String) -> AzureSharedKey.Request {
    AzureSharedKey.Request(
      method: "PUT", path: path, query: [],
      headers: common + [
        ("Content-Type", "application/octet-stream"), ("If-None-Match", "*"),
        ("x-ms-blob-type", "BlockBlob"), ("Content-MD5", "XUFAKrxLKna5cZ2REBfFkg=="),
      ], bodyByteCount: 5)
  }

  private func signature(_ request: AzureSharedKey.Request) -> String? {
    AzureSharedKey.authorization(request, account: account, key: key)
  }

  @Test func `a creation, with the account in the host and in the path`() {
    #expect(
      AzureSharedKey.stringToSign(put(blob), account: account)
        == ""
        + "PUT\n\n\n5\nXUFAKrxLKna5cZ2REBfFkg==\napplication/octet-stream\n\n\n\n*\n\n\nx-ms-blob-type:BlockBlob\nx-ms-client-request-id:00000000-0000-0000-0000-000000000001\nx-ms-date:Sat,"
        + " 28 Nov 2026 04:00:00 GMT\nx-ms-version:2026-10-06\n"
        + "/lifeboatacct" + blob)
    #expect(
      signature(put(blob)) == "SharedKey lifeboatacct:cBr6QU/RNTyOrd1bwjUN/PfKZBs8tl8+CQdMoXEUGRM=")
    #expect(
      signature(put("/lifeboatacct" + blob))
        == "SharedKey lifeboatacct:WL6eUwnx83/wV4OQd8igr4RSXNV895aQ4KEu5AoqTyw=")
  }

  @Test func `a listing`() {
    let request = AzureSharedKey.Request(
      method: "GET", path: "/backups",
      query: [
        ("restype", "container"), ("comp", "list"), ("prefix", "prefix/a b+c"),
        ("maxresults", "1000"),
      ], headers: common, bodyByteCount: 0)
    #expect(
      signature(request) == "SharedKey lifeboatacct:ekjE4ONnx+oPuYPCYtSl7/0dRyJTYTb2N5xtaXJSLW8=")
  }

  @Test func `a deletion`() {
    let request = AzureSharedKey.Request(
      method: "DELETE", path: blob, query: [], headers: common, bodyByteCount: 0)
    #expect(
      signature(request) == "SharedKey lifeboatacct:8rKQv1Pfhnn3f28Bag5iY4hY6hyJYhD2ofKjwZ4E6aE=")
  }

  @Test func `a key that is not base64 signs nothing`() {
    #expect(AzureSharedKey.authorization(put(blob), account: account, key: "not base64!") == nil)
  }

  @Test func `signatures in texts are taken out`() {
    for (text, expected) in [
      ("https://a.b/c?sp=r&sig=AbC%2B%3D&x=1", "https://a.b/c?sp=r&sig=(redacted)&x=1"),
      ("sig=a b SIG=c; Sig%3Dd'", "sig=(redacted) b SIG=(redacted); Sig%3D(redacted)'"),
      ("design=x", "design=x"), ("", ""), ("sig=", "sig=(redacted)"),
    ] { #expect(withoutSignatures(text) == expected) }
  }
}
