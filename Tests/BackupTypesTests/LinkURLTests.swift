import BackupTypes
import Testing

@Suite struct LinkURLTests {
  private func url(_ text: String) throws -> LinkURL { try LinkURL(text) }

  private func refusal(_ text: String) throws -> LifeboatError {
    try #require(throws: LifeboatError.self) { try LinkURL(text) }
  }

  @Test(arguments: [
    ("redis://db", "redis://db:6379"),
    ("redis://db:7000/", "redis://db:7000"),
    ("REDISS://backup@db.example:6380", "rediss://backup@db.example:6380"),
    ("redis://[::1]", "redis://[::1]:6379"),
    ("redis://a%40b@[2001:db8::7]:1", "redis://a%40b@[2001:db8::7]:1"),
    ("redis://10.0.0.7:65535", "redis://10.0.0.7:65535"),
    (
      "redis-sentinel://s1,s2:7,[::1],[::2]:8/my.master-1_x",
      "redis-sentinel://s1:26379,s2:7,[::1]:26379,[::2]:8/my.master-1_x"
    ),
    ("rediss-sentinel://u@s1/m", "rediss-sentinel://u@s1:26379/m"),
    ("redis://my_redis-0.my-redis.svc", "redis://my_redis-0.my-redis.svc:6379"),
  ])
  func whatIsReadIsWrittenInFull(text: String, whole: String) throws {
    let url = try url(text)
    #expect(url.description == whole)
    #expect(try self.url(whole) == url)
  }

  @Test func itsParts() throws {
    let server = try url("rediss://us%C3%A9r@db:1")
    #expect(server.user == "us\u{e9}r" && server.isTLS)
    #expect(server.place == .server(try #require(LinkAddress(host: "db", port: 1))))
    let group = try url("redis-sentinel://a,b:2/m")
    let first = try #require(LinkAddress(host: "a", port: 26379))
    let second = try #require(LinkAddress(host: "b", port: 2))
    #expect(group.place == .sentinels([first, second], master: "m"))
    #expect(group.user == nil && !group.isTLS)
  }

  /// An error never contains a part of a URL with a password, whatever else is wrong.
  @Test(arguments: [
    "redis://:hunter2@db", "redis://user:hunter2@db:6379", "redis://user:hunter2@x@db",
    "redis://user:hunter2/y@db", "redis://user:hunter2?y@db", "redis://user:hunter2#@db/0",
    "rediss-sentinel://u:hunter2@s1,s2/m", "http://user:hunter2@db", "user:hunter2@db",
    "redis:/user:hunter2@db", "redis://user:hunter2", "redis://db:6379?password=hunter2",
    "redis://hunter2:", "redis://[hunter2", "redis://a b:hunter2@db", "redis://hunter2%zz@db",
  ])
  func aPasswordIsNeitherTakenNorEchoed(text: String) throws {
    let error = try refusal(text)
    #expect(error.code == .usage)
    #expect(!"\(error)".contains("hunter2"), "\(error)")
  }

  @Test func aPasswordHasAPlaceOfItsOwn() throws {
    let error = try refusal("redis://user:secret@db")
    #expect(error.message.contains("password"))
    #expect(error.hint?.contains("--redis-password-file") == true)
    #expect(error.hint?.contains("LIFEBOAT_REDIS_PASSWORD") == true)
  }

  @Test(arguments: [
    ("", "begin with"), ("db:6379", "begin with"), ("unix:///run/redis.sock", "scheme"),
    ("redis://", "host is missing"), ("redis://:6379", "host is missing"),
    ("redis://db:", "port"), ("redis://db:0", "port"), ("redis://db:65536", "port"),
    ("redis://db:+1", "port"), ("redis://db:99999999999999999999", "port"),
    ("redis://::1:6379", "brackets"), ("redis://[::1", "bracket"), ("redis://[::1]x", "bracket"),
    ("redis://[db]:1", "bracket"), ("redis://[::g]:1", "characters"),
    ("redis://d b", "characters"), ("redis://döner", "characters"), ("redis://d%62", "characters"),
    ("redis://db/0", "path"), ("redis://a,b", "several servers"), ("redis://db?x", "parameters"),
    ("redis://@db", "not a user name"), ("redis://a%00b@db", "not a user name"),
    ("redis://a%2@db", "not a user name"),
    ("redis-sentinel://a", "name of the primary"), ("redis-sentinel://a/", "name of the primary"),
    ("redis-sentinel://a/m/n", "name of the primary"),
    ("redis-sentinel://a,,b/m", "host is missing"),
    ("redis-sentinel:///m", "host is missing"),
  ])
  func whatIsWrongIsSaid(text: String, word: String) throws {
    let error = try refusal(text)
    #expect(error.code == .usage && !error.isRetryable)
    #expect(error.cause?.contains(word) == true, "\(text): \(error)")
    #expect(error.hint?.contains("redis-sentinel://") == true)
  }

  @Test func itIsBounded() throws {
    let many = Array(repeating: "s", count: LinkURL.sentinelsMax + 1).joined(separator: ",")
    #expect(try refusal("redis-sentinel://\(many)/m").cause?.contains("16") == true)
    _ = try refusal("redis://" + String(repeating: "a", count: 5000))
    _ = try refusal("redis://" + String(repeating: "a", count: 256))
  }
}
