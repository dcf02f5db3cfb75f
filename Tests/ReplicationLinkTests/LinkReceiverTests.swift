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
    let receiver = try receiver(of: server, state, time: SystemClock())
    defer { receiver.stop() }
    try await eventually("there is a history") { receiver.line != nil }
    #expect(receiver.line?.isEmpty == true)
    keyspace.withLock { $0 = "db0:keys=1,expires=0,avg_ttl=0\r\n" }
    try await eventually("the data are seen") {
      receiver.wake()
      return receiver.line?.isEmpty == false
    }
  }

  /// Each full copy makes the server fork, so copies that fail are not requested again and again.
  @Test func copiesThatFailAreRequestedLessOften() async throws {
    let state = LinkState()
    let requests = Atomic(0)
    let server = try ByteServer { connection in
      var reader = RESPRequestReader(bytesMax: 10_000)
      while let bytes = connection.receive() {
        reader.append(bytes)
        while let command = try? reader.next() {
          let answer: String
          switch String(decoding: command[0], as: UTF8.self) {
          case "INFO":
            let text =
              "redis_version:7.2.4\r\nrole:master\r\nmaster_replid:\(LinkReceiverTests.id)\r\n"
              + "master_repl_offset:0\r\n# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n"
            answer = "$\(text.utf8.count)\r\n\(text)\r\n"
          case "PSYNC":
            // The copy breaks off after its first bytes.
            _ = connection.send(
              Array("+FULLRESYNC \(LinkReceiverTests.id) 0\r\n$100\r\nREDIS".utf8))
            requests.add(1, ordering: .relaxed)
            return
          default: answer = "+OK\r\n"
          }
          guard connection.send(Array(answer.utf8)) else { return }
        }
      }
    }
    let time = HeldTime()
    let receiver = try receiver(of: server, state, time: time)
    defer { receiver.stop() }
    // The shipper reads each copy, until it fails.
    let reading = Task {
      while !Task.isCancelled {
        guard let base = receiver.line?.base, !base.isLost else {
          await Task.yield()
          continue
        }
        _ = try? await base.read(from: 0, to: 100)
      }
    }
    defer { reading.cancel() }
    func isWaiting() -> Bool {
      guard case .down(let error, _) = receiver.status else { return false }
      return "\(error)".contains("full copies of")
    }
    try await eventually("two copies were requested", condition: { isWaiting() }) {
      "\(receiver.status), \(requests.load(ordering: .relaxed)) requests"
    }
    #expect(requests.load(ordering: .relaxed) == 2)
    for count in 3...4 {
      time.advance(CopyRequests.shortest << (count - 3))
      receiver.wake()
      try await eventually(
        "\(count) copies were requested",
        condition: { requests.load(ordering: .relaxed) == count && isWaiting() }
      ) { "\(receiver.status), \(requests.load(ordering: .relaxed)) requests" }
    }
  }

  private static let id = String(repeating: "a", count: 40)

  private func receiver(of server: ByteServer, _ state: LinkState, time: any TimeSource) throws
    -> LinkReceiver
  {
    let url = try LinkURL("redis://127.0.0.1:\(server.port)")
    let dialer = LinkDialer(
      url: url, tls: LinkTLS(trust: TrustStore(file: nil, origin: "a test")), password: nil,
      limits: LinkLimits(connect: 10_000, reply: 10_000))
    let bell = WaitPoint()
    let make: @Sendable (_ hadData: Bool) -> LinkLine = { hadData in
      let now = SystemClock.now()
      let file = PinnedFile(
        pin: state.nextPin(), name: "base", size: 1, modified: FileMoment(now), born: nil,
        identity: state.nextIdentity())
      let part = LinkLine.Part(
        pin: state.nextPin(), name: "log", sequence: 1, identity: state.nextIdentity(), start: 0)
      return LinkLine(
        base: LinkBase(file, sequence: 1, name: state.nextName(), stored: nil, receiver: bell),
        first: part, because: "a test", runID: nil, keys: .none, hadData: hadData,
        limits: .init(heldMax: 1 << 20), now: now)
    }
    let renewal = LinkRenewal(.init(ratio: 100, least: 1 << 40)) { _, _, bell in
      let line = make(true)
      return (line.base, line.state.withLock { $0.parts[0] })
    }
    return try LinkReceiver(
      LinkServer(url, dialer, port: nil), spool: nil, line: nil, bell: bell, renewal: renewal,
      time: time, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      shared: state
    ) { info, _ in make(info.hasData ?? true) }
  }
}

/// A clock that the test sets. It does not advance by itself.
private final class HeldTime: TimeSource {
  private let monotonic = Atomic<Int64>(1_000_000)
  func now() -> Now {
    Now(wall: SystemClock.now(), monotonic: monotonic.load(ordering: .relaxed))
  }
  func advance(_ milliseconds: Int64) { monotonic.add(milliseconds, ordering: .relaxed) }
  func sleep(milliseconds: Int64) async throws {
    try await Task.sleep(for: .milliseconds(milliseconds))
  }
  func makeBell() -> any Bell { WaitPoint() }
}
