import HistoryLogic
import Testing

@Suite struct ServerReleaseTests {
  @Test(
    arguments: [
      ("redis 7.4.1", "redis 7.4.0", true), ("redis 7.4.1", "redis 7.2.4", false),
      ("redis 6.2.6", "redis 8.2.1", true), ("redis 7.2.4", "valkey 9.1.0", true),
      ("redis 7.4.0", "valkey 9.1.0", false), ("valkey 8.0.1", "valkey 9.1.0", true),
      ("valkey 8.0.1", "redis 8.2.1", false), ("valkey 9.1.0", "valkey 8.1.0", false),
    ])
  func `a server of the recorded line or newer may load it`(
    _ recorded: String, _ server: String, _ loads: Bool
  ) throws {
    let one = try #require(ServerRelease(recorded: recorded))
    let other = try #require(ServerRelease(recorded: server))
    #expect(other.canLoad(one) == loads)
  }

  @Test func `the first line of --version is understood, and nothing else`() {
    let redis = ServerRelease(
      versionLine: "Redis server v=7.4.1 sha=00000000:0 malloc=libc bits=64 build=1\n")
    #expect(redis?.description == "redis 7.4.1")
    #expect(
      ServerRelease(versionLine: "Valkey server v=9.1.2 sha=0:0")?.description == "valkey 9.1.2")
    for text in ["", "bash, version 5", "Redis server", "Redis server v=x", "KeyDB server v=6.3.4"]
    {
      #expect(ServerRelease(versionLine: text) == nil, "\(text)")
    }
  }
}
