import BackupFormat
import BackupTypes
import HTTPTransport
import Logging
import RedisFormats
import Synchronization
import SystemIO
import TestSupport
import Testing
import WriterLogic

@testable import ReplicationLink

/// When the receiver begins another history. The server here is a few lines of code.
@Suite(.timeLimit(.minutes(5))) struct LinkReceiverTests {
  /// Nobody reads the copy of a server without data, so nobody requests it, and the stream does not come.
  @Test func aServerThatWasEmptyIsAskedAgain() async throws {
    let keyspace = Mutex("")
    let state = LinkState()
    let server = try ByteServer { connection in
      var reader = RESPRequestReader(bytesMax: 10_000)
      while let bytes = connection.receive() {
        reader.append(bytes)
        while let _ = try? reader.next() {
          let id = String(repeating: "a", count: 40)
          let text =
            "redis_version:7.2.4\r\nrole:master\r\nmaster_replid:\(id)\r\nmaster_repl_offset:0\r\n"
            + "# Keyspace\r\n" + keyspace.withLock { $0 }
          guard connection.send(Array("$\(text.utf8.count)\r\n\(text)\r\n".utf8)) else { return }
        }
      }
    }
    let url = try LinkURL("redis://127.0.0.1:\(server.port)")
    let dialer = LinkDialer(
      url: url, tls: LinkTLS(trust: TrustStore(file: nil, origin: "a test")), password: nil,
      limits: LinkLimits(connect: 10_000, reply: 10_000))
    let bell = WaitPoint()
    let make: @Sendable (_ hadKeys: Bool) -> LinkLine = { hadKeys in
      let now = SystemClock.now()
      let file = PinnedFile(
        pin: state.nextPin(), name: "base", size: 1, modified: FileMoment(now), born: nil,
        identity: state.nextIdentity())
      let part = LinkLine.Part(
        pin: state.nextPin(), name: "log", sequence: 1, identity: state.nextIdentity(), start: 0)
      return LinkLine(
        base: LinkBase(file, sequence: 1, name: state.nextName(), stored: nil, receiver: bell),
        first: part, because: "a test", runID: nil, keys: .none, hadKeys: hadKeys,
        limits: .init(heldMax: 1 << 20), now: now)
    }
    let renewal = LinkRenewal(.init(ratio: 100, least: 1 << 40)) { _, _, bell in
      let line = make(true)
      return (line.base, line.state.withLock { $0.parts[0] })
    }
    let receiver = try LinkReceiver(
      LinkServer(url, dialer, port: nil), spool: nil, line: nil, bell: bell, renewal: renewal,
      time: SystemClock(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      shared: state
    ) { info, _ in make(info.hasKeys ?? true) }
    defer { receiver.stop() }
    try await eventually("there is a history") { receiver.line != nil }
    #expect(receiver.line?.isEmpty == true)
    keyspace.withLock { $0 = "db0:keys=1,expires=0,avg_ttl=0\r\n" }
    try await eventually("the data are seen") {
      receiver.wake()
      return receiver.line?.isEmpty == false
    }
  }
}
