import BackupTypes
import HTTPTransport
import RedisFormats
import ReplicationLink
import Synchronization
import TestSupport

/// Attaches to a primary as a replica, as Lifeboat does. It counts the bytes of the stream and acknowledges
/// them, but stores nothing.
final class MinimalReplica: Sendable {
  private struct State {
    var offset: UInt64?
    var isStopped = false
    var end: String?
    var isEnded: Bool { end != nil }
  }
  private let state = Mutex(State())
  private let session: RedisSession

  /// The position after what was received; nil before the full copy is there.
  var offset: UInt64? { state.withLock { $0.offset } }
  /// Why it ended.
  var end: String? { state.withLock { $0.end } }

  /// - Parameter announcing: the `listening-port`, if any.
  init(of primary: LinkAddress, announcing port: Int?, credentials: LinkCredentials? = nil) throws {
    session = try RedisSession(
      with: primary, tls: nil, credentials: credentials,
      limits: LinkLimits(connect: 10_000, reply: 60_000))
    _ = try session.command("PING")
    if let port { _ = try session.command("REPLCONF", "listening-port", "\(port)") }
    // Without `capa eof`, the length of the full copy comes first.
    _ = try session.command("REPLCONF", "capa", "psync2")
    _ = try session.command("REPLCONF", "version", "255.255.255")
    let words = try session.require("PSYNC", "?", "-1").text?.split(separator: " ") ?? []
    guard words.count == 3, words[0] == "FULLRESYNC", let offset = UInt64(words[2]) else {
      throw HarnessError("no full copy: \(words)")
    }
    startThread { [self] in
      do {
        try run(from: offset)
      } catch {
        state.withLock { $0.end = "\(error)" }
      }
    }
  }

  func stop() async throws {
    state.withLock { $0.isStopped = true }
    session.wake()
    try await eventually("the minimal replica ends") { end != nil }
  }

  private func run(from offset: UInt64) throws {
    let (connection, rest) = session.handOver()
    var held = rest
    var left: Int?
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
    defer { buffer.deallocate() }
    var position = offset
    while !state.withLock({ $0.isStopped }) {
      if left == nil, let end = held.firstIndex(of: 10) {
        // Line feeds come while the copy is being made, then `$<length>\r\n`.
        let line = String(decoding: held[..<end], as: UTF8.self)
        held.removeFirst(end + 1)
        if line.hasPrefix("$") { left = Int(line.dropFirst().dropLast()) }
        continue
      }
      if let count = left {
        let copied = min(count, held.count)
        left = count - copied
        position += UInt64(held.count - copied)
        held = []
        if left == 0 {
          state.withLock { $0.offset = position }
          let ack = ["REPLCONF", "ACK", "\(position)"].map { Array($0.utf8) }
          try connection.send(encodedCommand(ack), timeoutMilliseconds: 10_000)
        }
      }
      switch try connection.receive(into: buffer, waitingMilliseconds: 200) {
      case .bytes(let count): held += buffer[..<count]
      case .nothing: break
      case .closed: throw HarnessError("closed by the primary")
      }
    }
    connection.close()
    throw HarnessError("stopped")
  }
}
