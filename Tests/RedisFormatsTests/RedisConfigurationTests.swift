import RedisFormats
import Testing

struct RedisConfigurationTests {
  @Test func readsWhatConcernsPersistence() throws {
    let configuration = try RedisConfiguration(
      parsing: bytes(
        """
        # comment with "unbalanced
        port 6379
        DIR /first
          dir "/data/with space"\r
        dbfilename 'it\\'s.rdb'
        appendonly YES
        AppendFilename "log\\x41.aof"
        appenddirname aofdir
        include /etc/a.conf
        include /etc/b*.conf
        save 3600 1 300 100

        """))
    #expect(configuration.directory == "/data/with space")
    #expect(configuration.dumpName == "it's.rdb")
    #expect(configuration.appendOnly == nil, "what is included later may say otherwise")
    #expect(configuration.appendName == "logA.aof")
    #expect(configuration.appendDirectoryName == "aofdir")
    #expect(configuration.unread == ["/etc/a.conf", "/etc/b*.conf"])
  }

  @Test func isSilentAboutWhatTheFileDoesNotSay() throws {
    #expect(try RedisConfiguration(parsing: bytes("port 1")) == RedisConfiguration())
    #expect(try RedisConfiguration(parsing: []) == RedisConfiguration())
    #expect(try RedisConfiguration(parsing: bytes("\n \t\r\n\u{b}\n")) == RedisConfiguration())
  }

  @Test func theLastMentionWins() throws {
    let text = "appendonly yes\nappendonly no\nappendfilename a\nappendfilename b"
    let configuration = try RedisConfiguration(parsing: bytes(text))
    #expect(configuration.appendOnly == false)
    #expect(configuration.appendName == "b")
  }

  /// An included file counts at the place of its `include`. One that can't be read may contain anything.
  @Test func readsWhatIsIncluded() throws {
    func read(_ text: String) throws -> RedisConfiguration {
      try RedisConfiguration(parsing: bytes(text)) { path in
        switch path {
        case "/yes": [bytes("appendonly yes\nappenddirname d")]
        case "/two*": [bytes("appendonly no"), bytes("include /yes")]
        case "/none*": []
        case "/self": [bytes("include /self")]
        default: nil
        }
      }
    }
    #expect(try read("include /yes").appendOnly == true)
    #expect(try read("appendonly no\ninclude /yes").appendOnly == true)
    #expect(try read("include /yes\nappendonly no").appendOnly == false)
    #expect(try read("include /two*").appendOnly == true)
    #expect(try read("include /two*").appendDirectoryName == "d")
    #expect(try read("include /none*").unread.isEmpty)
    #expect(try read("appendonly no\ninclude /gone").appendOnly == nil)
    #expect(try read("appendonly no\ninclude /gone").unread == ["/gone"])
    #expect(try read("include /gone\nappendonly yes").appendOnly == true)
    #expect(try read("include /self").unread == ["/self"], "it ends")
  }

  @Test(
    arguments: [
      ("port 1\ndir \"/a", 2, "unbalanced quotes"), ("dir", 1, "dir takes one value"),
      ("\n\ndir a b", 3, "dir takes one value"), ("appendonly maybe", 1, "neither yes nor no"),
      ("dir a\0b", 1, "a NUL byte"), ("dir \"a\\x00b\"", 1, "not valid UTF-8 text"),
      ("dir \"\\xff\"", 1, "not valid UTF-8 text"),
    ])
  func refuses(_ text: String, line: Int, reason: String) {
    do throws(RedisConfigurationFault) {
      _ = try RedisConfiguration(parsing: bytes(text))
      Issue.record("accepted")
    } catch {
      #expect(error.line == line)
      #expect(error.reason.contains(reason), "\(error.reason)")
    }
  }
}
