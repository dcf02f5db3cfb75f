import BackupTypes
import RedisFormats
import ReplicationLink
import Testing

@Suite struct ResponderSessionTests {
  private static let facts = ResponderFacts(
    upstream: LinkAddress(host: "10.0.0.1", port: 6379), isLinkUp: true, offset: 1234,
    runID: String(repeating: "ab", count: 20))

  /// One client, and the effects of its commands.
  private struct Client {
    var session: ResponderSession
    var effects: [ResponderSession.Effect] = []

    init(_ credentials: LinkCredentials? = nil) {
      session = ResponderSession(credentials: credentials)
    }

    mutating func run(_ line: String) -> RESPReply {
      let command = line.split(separator: " ").map { Array($0.utf8) }
      let (reply, effects) = session.answer(command, facts: facts) { $0.count }
      self.effects += effects
      return reply
    }
  }

  private func isError(_ reply: RESPReply, _ kind: String = "ERR") -> Bool {
    if case .error(let words) = reply { return words.hasPrefix(kind + " ") }
    return false
  }

  /// What a primary sends during FAILOVER. After a FULLRESYNC, or a reply like it, it would discard its data.
  @Test func aPrimaryThatFailsOverIsRefused() {
    var client = Client()
    #expect(client.run("PING") == .status("PONG"))
    #expect(client.run("AUTH default whatever") == .status("OK"))
    #expect(client.run("REPLCONF listening-port 6379") == .status("OK"))
    #expect(client.run("REPLCONF capa eof capa psync2") == .status("OK"))
    for command in ["PSYNC ? -1", "PSYNC 0123 1235 FAILOVER", "psync ? -1", "SYNC", "sync"] {
      #expect(isError(client.run(command)), "\(command)")
    }
    #expect(client.effects.isEmpty)
  }

  @Test func itSaysThatItMustNotBePromoted() throws {
    var client = Client()
    let text = try #require(client.run("INFO").text)
    for line in [
      "role:slave", "master_host:10.0.0.1", "master_port:6379", "master_link_status:up",
      "slave_priority:0", "replica_announced:0", "slave_repl_offset:1234",
      "run_id:" + String(repeating: "ab", count: 20),
    ] {
      #expect(text.contains(line + "\r\n"), "\(line)")
    }
    #expect(!text.contains("master_link_down"))
    let info = ReplicationInfo(parsing: text.utf8)
    #expect(info.role == .replica && info.offset == 1234)
    #expect(
      client.run("ROLE")
        == .array([
          .bulk(Array("slave".utf8)), .bulk(Array("10.0.0.1".utf8)), .integer(6379),
          .bulk(Array("connected".utf8)), .integer(1234),
        ]))
    for command in ["SLAVEOF NO ONE", "replicaof no one", "FAILOVER", "CLUSTER FAILOVER"] {
      #expect(isError(client.run(command)), "\(command)")
    }
    #expect(client.effects.isEmpty)
  }

  @Test func withoutALinkItSaysThat() throws {
    var session = ResponderSession(credentials: nil)
    let facts = ResponderFacts(upstream: nil, isLinkUp: false, offset: 0, runID: "")
    let text = try #require(
      session.answer([Array("INFO".utf8)], facts: facts, listeners: { _ in 0 }).reply.text)
    #expect(text.contains("master_link_status:down") && text.contains("master_link_down_since"))
    #expect(!text.contains("master_host"))
  }

  /// What a Sentinel sends after a failover (`sentinelSendSlaveOf`).
  @Test func aSentinelTellsTheNewPrimary() throws {
    var client = Client()
    #expect(client.run("MULTI") == .status("OK"))
    for command in [
      "SLAVEOF 10.0.0.2 6380", "CONFIG REWRITE", "CLIENT KILL TYPE normal",
      "CLIENT KILL TYPE pubsub",
    ] {
      #expect(client.run(command) == .status("QUEUED"))
    }
    #expect(client.effects.isEmpty)
    #expect(
      client.run("EXEC") == .array([.status("OK"), .status("OK"), .integer(0), .integer(0)]))
    let address = try #require(LinkAddress(host: "10.0.0.2", port: 6380))
    #expect(client.effects == [.follow(address)])
    #expect(isError(client.run("EXEC")))
    #expect(client.run("REPLICAOF ::1 7") == .status("OK"))
    #expect(client.effects.count == 2)
    for command in ["SLAVEOF a", "SLAVEOF a 0", "SLAVEOF a x", "SLAVEOF a/b 1"] {
      #expect(isError(client.run(command)), "\(command)")
    }
    #expect(client.effects.count == 2)
  }

  @Test func transactionsAreBounded() {
    var client = Client()
    _ = client.run("MULTI")
    #expect(isError(client.run("MULTI")))
    for _ in 0..<16 { #expect(client.run("PING") == .status("QUEUED")) }
    #expect(isError(client.run("PING")))
    #expect(isError(client.run("EXEC"), "EXECABORT"))
    #expect(client.run("PING") == .status("PONG"))

    _ = client.run("MULTI")
    #expect(isError(client.run("ECHO " + String(repeating: "x", count: 17_000))))
    #expect(isError(client.run("EXEC"), "EXECABORT"))

    _ = client.run("MULTI")
    _ = client.run("SLAVEOF a 1")
    #expect(client.run("DISCARD") == .status("OK"))
    #expect(client.effects.isEmpty)
    _ = client.run("MULTI")
    #expect(client.run("EXEC") == .array([]))
  }

  @Test func whatASentinelNeedsBeside() {
    var client = Client()
    #expect(client.run("CLIENT SETNAME sentinel-1-cmd") == .status("OK"))
    #expect(client.run("PUBLISH __sentinel__:hello x") == .integer(18))
    let channel = Array("__sentinel__:hello".utf8)
    #expect(client.effects == [.publish(channel: channel, message: [120])])
    #expect(
      client.run("SUBSCRIBE __sentinel__:hello")
        == .array([.bulk(Array("subscribe".utf8)), .bulk(channel), .integer(1)]))
    #expect(client.effects.last == .subscribe(channel))
    #expect(client.run("PING") == .array([.bulk(Array("pong".utf8)), .bulk([])]))
    _ = client.run("UNSUBSCRIBE")
    #expect(client.effects.last == .unsubscribe && client.run("PING") == .status("PONG"))
    #expect(client.run("QUIT") == .status("OK"))
    #expect(client.effects.last == .close)
    for number in 0..<4 { _ = client.run("SUBSCRIBE c\(number)") }
    #expect(isError(client.run("SUBSCRIBE c4")))
  }

  @Test(arguments: [
    "GET a", "SET a b", "FLUSHALL", "CONFIG SET dir /", "CONFIG GET *", "DEBUG SLEEP 1", "SHUTDOWN",
    "HELLO 3", "CLIENT LIST", "CLIENT", "EVAL x 0", "DISCARD", "SLAVEOF", "SUBSCRIBE a b",
    "PUBLISH",
    "AUTH", "AUTH a b c", "x",
  ])
  func everythingElseIsAnError(command: String) {
    var client = Client()
    #expect(isError(client.run(command)))
    #expect(client.effects.isEmpty)
  }

  /// A primary whose AUTH is refused retries for ever, and is read-only meanwhile. So every AUTH succeeds.
  /// But only a client with the right password may see the primary and name another one.
  @Test func aPasswordDecidesWhoIsHeard() throws {
    let plain = LinkCredentials(user: nil, password: Redacted("s3cret"))
    let named = LinkCredentials(user: "backup", password: Redacted("s3cret"))
    for (credentials, right, wrong) in [
      (
        plain, ["s3cret", "default s3cret"], ["s3cre", "s3crets3cret", "backup s3cret", "x s3cret"]
      ),
      (named, ["backup s3cret"], ["s3cret", "default s3cret", "backup x", "backu s3cret"]),
    ] {
      for words in wrong + [""] {
        var client = Client(credentials)
        if !words.isEmpty { #expect(client.run("AUTH \(words)") == .status("OK"), "\(words)") }
        #expect(client.run("PING") == .status("PONG"))
        #expect(client.run("REPLCONF capa eof") == .status("OK"))
        #expect(isError(client.run("PSYNC ? -1 FAILOVER")))
        for command in [
          "INFO", "ROLE", "SLAVEOF a 1", "SUBSCRIBE c", "PUBLISH c x", "CONFIG REWRITE",
        ] {
          #expect(isError(client.run(command), "NOAUTH"), "\(words): \(command)")
        }
        _ = client.run("MULTI")
        _ = client.run("SLAVEOF a 1")
        #expect(isError(client.run("EXEC").elements?.first ?? .null, "NOAUTH"))
        #expect(client.effects.isEmpty)
      }
      for words in right {
        var client = Client(credentials)
        _ = client.run("AUTH \(words)")
        #expect(client.run("INFO").text?.contains("master_host") == true)
        #expect(client.run("SLAVEOF a 1") == .status("OK"))
        // A later wrong password revokes this.
        _ = client.run("AUTH x")
        #expect(isError(client.run("INFO"), "NOAUTH"))
      }
    }
  }
}
