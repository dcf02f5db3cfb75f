import BackupTypes
import StatusPages
import Testing

@Suite struct ListenAddressTests {
  @Test(
    arguments: [
      (":9847", nil, 9847, ":9847"), ("127.0.0.1:9848", "127.0.0.1", 9848, "127.0.0.1:9848"),
      ("[::1]:1", "::1", 1, "[::1]:1"), ("localhost:0", "localhost", 0, "localhost:0"),
    ] as [(String, String?, Int, String)])
  func `is read and written`(_ text: String, host: String?, port: Int, written: String) throws {
    let address = try ListenAddress(text)
    #expect(address.host == host && address.port == port && address.description == written)
  }

  @Test(arguments: [
    "", "9847", ":", ":x", ":65536", ":-1", "::1:80", "*:80", "a b:80", "host:", "http://x:80",
  ])
  func `is refused as usage`(_ text: String) {
    let error = #expect(throws: LifeboatError.self) { try ListenAddress(text) }
    #expect(error?.code == .usage && error?.hint != nil)
  }
}

/// The host names that a server on a loopback address accepts.
@Suite struct LoopbackNameTests {
  @Test(arguments: [
    nil, "127.0.0.1:9848", "127.0.0.1", "localhost:9848", "LOCALHOST", "[::1]:9848",
    "a.localhost:80",
    "10.0.0.7:9848",
  ])
  func `a name that no stranger's page can have`(name: String?) throws {
    #expect(try ListenAddress("127.0.0.1:9848").accepts(host: name))
  }

  @Test(arguments: [
    "evil.example:9848", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:9848",
    "[evil.example]:1", "127.0.0.1@evil.example", "[::1].evil.example", "[::1]:1.evil.example",
  ])
  func `a stranger's name is refused, on every address`(name: String) throws {
    #expect(try !ListenAddress("127.0.0.1:9848").accepts(host: name))
    #expect(try !ListenAddress("[::1]:9848").accepts(host: name))
    #expect(try !ListenAddress("localhost:9848").accepts(host: name))
    #expect(try !ListenAddress(":9848").accepts(host: name))
    #expect(try !ListenAddress("10.0.0.7:9848").accepts(host: name, told: ["redis-0.redis"]))
  }

  @Test func `a name is answered that an operator gave`() throws {
    for address in [":9848", "10.0.0.7:9848", "[2001:db8::1]:9848"] {
      let told = try ListenAddress(address)
      for host in ["redis-0.redis", "Redis-0.Redis:9848"] {
        #expect(!told.accepts(host: host))
        #expect(told.accepts(host: host, told: ["other", "redis-0.redis"]))
      }
      for host in [nil, "10.0.0.7:9848", "[2001:db8::1]:9848", "localhost"] {
        #expect(told.accepts(host: host))
      }
    }
    #expect(try ListenAddress("pod.example:9848").accepts(host: "pod.example:9848"))
    #expect(try !ListenAddress("127.0.0.1:9848").accepts(host: "pod", told: ["pod"]))
  }
}

/// Whether a request comes from another site's page.
@Suite struct RequestOriginTests {
  @Test(
    arguments: [
      (nil, nil, false), (nil, "localhost:9848", false),
      ("http://localhost:9848", "localhost:9848", false),
      ("HTTP://LocalHost:9848", "LOCALHOST:9848", false), ("http://localhost", "localhost", false),
      ("https://desk.example", "desk.example", false),
      ("http://localhost:9849", "localhost:9848", true),
      ("http://127.0.0.1:9848", "localhost:9848", true),
      ("http://evil.example", "localhost:9848", true),
      ("http://localhost:9848, http://evil.example", "localhost:9848", true),
      ("null", "localhost:9848", true), ("", "localhost:9848", true), ("http://a", nil, true),
    ] as [(String?, String?, Bool)])
  func `by the address that was asked`(origin: String?, host: String?, isOther: Bool) {
    let request = PageRequest(method: "POST", path: "/sync", host: host, origin: origin)
    #expect(request.isOfAnotherSite == isOther)
  }
}
