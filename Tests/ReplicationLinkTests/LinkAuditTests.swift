import Auditing
import BackupFormat
import BackupTypes
import HTTPTransport
import RedisFormats
import Synchronization
import SystemIO
import TestSupport
import Testing
import WriterLogic

@testable import ReplicationLink

/// The audit asks the server, not the receiver. The server here is a few lines of code.
@Suite(.timeLimit(.minutes(5))) struct LinkAuditTests {
  /// The reply to INFO; nil closes the connection.
  private final class Said: Sendable {
    let info = Mutex<String?>(nil)
    func set(_ text: String?) { info.withLock { $0 = text } }
  }
  private let said = Said()
  private let state = LinkState()
  private let bell = WaitPoint()

  private static func info(_ id: String, _ offset: UInt64) -> String {
    "redis_version:7.2.4\r\nrole:master\r\nmaster_replid:\(id)\r\nmaster_repl_offset:\(offset)\r\n"
  }
  private static let own = String(repeating: "a", count: 40)
  private static let other = String(repeating: "b", count: 40)

  private func server() throws -> ByteServer {
    let said = said
    return try ByteServer { connection in
      var reader = RESPRequestReader(bytesMax: 10_000)
      while let bytes = connection.receive() {
        reader.append(bytes)
        while let _ = try? reader.next() {
          guard let text = said.info.withLock({ $0 }),
            connection.send(Array("$\(text.utf8.count)\r\n\(text)\r\n".utf8))
          else { return }
        }
      }
    }
  }
  private func audit(_ server: ByteServer) throws -> LinkAudit {
    let url = try LinkURL("redis://127.0.0.1:\(server.port)")
    let dialer = LinkDialer(
      url: url, tls: LinkTLS(trust: TrustStore(file: nil, origin: "a test")), password: nil,
      limits: LinkLimits(connect: 10_000, reply: 10_000))
    return LinkAudit(LinkServer(url, dialer, port: nil), state, time: SystemClock())
  }
  /// A history that the repository has up to 1000. Its last file starts at 500.
  private func line() -> LinkLine {
    let now = Instant(milliseconds: 1_700_000_000_000)
    let file = PinnedFile(
      pin: state.nextPin(), name: "base", size: 1, modified: FileMoment(now), born: nil,
      identity: state.nextIdentity())
    let base = LinkBase(
      file, sequence: 1, name: state.nextName(), stored: 10, receiver: bell)
    let part = LinkLine.Part(
      pin: state.nextPin(), name: "log", sequence: 1, identity: state.nextIdentity(), start: 500)
    return LinkLine(
      continuing: Self.own, base: base, parts: [part], durable: 1000, timelines: [.first],
      limits: .init(heldMax: 1 << 20), now: now)
  }
  private func log(_ sample: SourceSample) throws -> SourceSample.Log {
    guard case .log(let log) = sample.line else {
      throw HarnessError("no log: \(sample.line)")
    }
    return log
  }

  @Test func noLinkIsNoAnswer() async throws {
    said.set(Self.info(Self.own, 1000))
    let server = try server()
    try await onOwnThread {
      var audit = try audit(server)
      let error = try #require(throws: LifeboatError.self) { _ = try audit.sample() }
      #expect(error.isRetryable && error.message.contains("no link"), "\(error)")
    }
  }

  /// Data that the server has but the receiver does not is not durable.
  @Test func theServerSaysHowFarItIs() async throws {
    let server = try server()
    state.set(line: line())
    try await onOwnThread {
      var audit = try audit(server)
      said.set(Self.info(Self.own, 1000))
      let level = try log(audit.sample())
      #expect(level.files.map(\.version.size) == [500])
      said.set(Self.info(Self.own, 5000))
      let ahead = try log(audit.sample())
      #expect(
        ahead.files.map(\.version.size) == [4500], "of 4,000 bytes nobody but the server knows")
    }
  }

  @Test func anotherHistoryIsNoLookAtThisOne() async throws {
    let server = try server()
    state.set(line: line())
    said.set(Self.info(Self.other, 1000))
    try await onOwnThread {
      var audit = try audit(server)
      guard case .unusable(let reason) = try audit.sample().line else {
        throw HarnessError("it was taken for the same history")
      }
      #expect(reason.contains("different replication history"))
    }
  }

  /// Nobody has received the first write after an empty start, so only the server knows of it.
  @Test func theFirstWriteOfAnEmptyServerIsNotCovered() async throws {
    let server = try server()
    let now = Instant(milliseconds: 1_700_000_000_000)
    let file = PinnedFile(
      pin: state.nextPin(), name: "base", size: 1, modified: FileMoment(now), born: nil,
      identity: state.nextIdentity())
    let part = LinkLine.Part(
      pin: state.nextPin(), name: "log", sequence: 1, identity: state.nextIdentity(), start: 0)
    let base = LinkBase(
      file, sequence: 1, name: state.nextName(), stored: nil, receiver: bell)
    state.set(
      line: LinkLine(
        base: base, first: part, because: "a test", runID: nil, keys: .none, hadData: false,
        limits: .init(heldMax: 1 << 20), now: now))
    try await onOwnThread {
      var audit = try audit(server)
      said.set(Self.info(Self.own, 0) + "# Keyspace\r\n")
      #expect(try log(audit.sample()).base?.isKeyless == true)
      said.set(Self.info(Self.own, 0) + "# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n")
      #expect(try log(audit.sample()).base?.isKeyless == false)
    }
  }

  /// A server that does not answer gives no sample. The next time, the audit asks it again.
  @Test func silenceIsNoSample() async throws {
    let server = try server()
    state.set(line: line())
    try await onOwnThread {
      var audit = try audit(server)
      said.set(nil)
      #expect(throws: LifeboatError.self) { _ = try audit.sample() }
      said.set(Self.info(Self.own, 1000))
      #expect(try log(audit.sample()).files.count == 1)
    }
  }
}
