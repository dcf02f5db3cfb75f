import CloudAuth
import Testing

@Suite struct PlainHTTPTests {
  @Test func `a secret goes over TLS or stays on this machine`() {
    for url in [
      "https://storage.googleapis.com", "HTTPS://x/", "http://127.0.0.1:9000/x", "http://localhost",
      "http://[::1]:80/", "http://127.1.2.3",
    ] { #expect(PlainHTTP.maySendSecret(to: url), "\(url)") }
    for url in [
      "http://example.com", "http://10.0.0.1", "http://127.0.0.1@example.com/", "ftp://127.0.0.1",
      "http://127.0.0.1.example.com", "http://localhost.example.com", "http://127.0.0.1\\@x", "",
      "http://127.0.0.256",
    ] { #expect(!PlainHTTP.maySendSecret(to: url), "\(url)") }
  }
}
