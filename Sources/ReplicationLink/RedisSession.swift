package import BackupTypes
package import HTTPTransport
package import RedisFormats
import SystemIO

/// A session with a Redis or Valkey server: commands and their replies, one after another. It blocks, for
/// no longer than its limits, and must be used on threads that may.
///
/// `@unchecked Sendable`: one thread at a time uses it; any thread may call `wake`. The owner upholds that.
package final class RedisSession: @unchecked Sendable {
  /// INFO is the longest reply that is requested; it has 10 KiB.
  package static let replyBytesMax = ReplicationInfo.bytesMax
  private static let bufferBytes = 64 << 10

  package var address: LinkAddress { connection.address }
  private let connection: LinkConnection
  private let limits: LinkLimits
  private var reader = RESPReplyReader(bytesMax: RedisSession.replyBytesMax)
  private let buffer: UnsafeMutableRawBufferPointer
  private var hasAnswered = false

  /// Connects, and authenticates if there are credentials.
  package init(
    with address: LinkAddress, tls: LinkTLS?, credentials: LinkCredentials?, limits: LinkLimits
  ) throws(LifeboatError) {
    self.limits = limits
    connection = try LinkConnection(
      to: address, tls: tls, timeoutMilliseconds: limits.connect)
    buffer = .allocate(byteCount: RedisSession.bufferBytes, alignment: 16)
    // From here on a thrown error runs deinit.
    if let credentials { try authenticate(credentials) }
  }

  deinit { buffer.deallocate() }

  /// Ends the wait for a reply, which then throws. May be called from any thread.
  package func wake() { connection.wake() }

  /// Sends a command and returns its reply, which may be an error of the server.
  ///
  /// - Throws: a retryable error if there is no reply. The session can't be used any more then.
  package func command(_ arguments: [[UInt8]]) throws(LifeboatError) -> RESPReply {
    try send(arguments)
    return try reply(waitingMilliseconds: limits.reply)
  }

  package func command(_ arguments: String...) throws(LifeboatError) -> RESPReply {
    try command(arguments.map { Array($0.utf8) })
  }

  /// Like `command`, but an error of the server is thrown, with what the operator can do.
  package func require(_ arguments: String...) throws(LifeboatError) -> RESPReply {
    let reply = try command(arguments.map { Array($0.utf8) })
    if case .error(let words) = reply { throw refusal(words, of: arguments.first ?? "") }
    return reply
  }

  /// What the server says about itself now.
  package func info() throws(LifeboatError) -> ReplicationInfo {
    guard case .bulk(let bytes) = try require("INFO") else {
      throw malformed("INFO was not answered with text")
    }
    return ReplicationInfo(parsing: bytes)
  }

  /// Sends a command and does not wait. Its reply is the next one that `reply` returns.
  package func send(_ arguments: [[UInt8]]) throws(LifeboatError) {
    do throws(LifeboatError) {
      try connection.send(encodedCommand(arguments), timeoutMilliseconds: limits.reply)
    } catch {
      throw explained(error)
    }
  }

  /// Sends two commands at once, so that the server has read the second before it has sent the reply to the
  /// first. Returns both replies.
  package func commands(
    _ first: [String], _ second: [String]
  ) throws(LifeboatError) -> (RESPReply, RESPReply) {
    let bytes = [first, second].flatMap { encodedCommand($0.map { Array($0.utf8) }) }
    do throws(LifeboatError) {
      try connection.send(bytes, timeoutMilliseconds: limits.reply)
    } catch {
      throw explained(error)
    }
    return (
      try reply(waitingMilliseconds: limits.reply), try reply(waitingMilliseconds: limits.reply)
    )
  }

  /// The next reply. Line feeds before it are skipped.
  package func reply(waitingMilliseconds: Int) throws(LifeboatError) -> RESPReply {
    let deadline = SystemClock.monotonicMilliseconds() + Int64(waitingMilliseconds)
    while true {
      do throws(RESPReplyReader.Fault) {
        if let reply = try reader.next() {
          hasAnswered = true
          return reply
        }
      } catch {
        throw malformed(error)
      }
      let left = deadline - SystemClock.monotonicMilliseconds()
      guard left > 0 else { throw silent(waitingMilliseconds) }
      try receive(waitingMilliseconds: Int32(clamping: left))
    }
  }

  /// Ends the session, and hands over its connection with the bytes that came after the last reply.
  package func handOver() -> (connection: LinkConnection, received: [UInt8]) {
    (connection, reader.takeRest())
  }

  /// Closes the connection, from the thread that uses the session.
  package func close() { connection.close() }

  /// The error for an error reply of this server.
  ///
  /// - Parameter command: its name.
  package func refusal(_ words: String, of command: String) -> LifeboatError {
    RedisRefusal(words: words, command: command, address: address).error
  }

  // MARK: Steps

  private func authenticate(_ credentials: LinkCredentials) throws(LifeboatError) {
    var arguments = ["AUTH"]
    if let user = credentials.user { arguments.append(user) }
    arguments.append(credentials.password.reveal())
    let reply = try command(arguments.map { Array($0.utf8) })
    if case .error(let words) = reply { throw refusal(words, of: "AUTH") }
  }

  private func receive(waitingMilliseconds: Int32) throws(LifeboatError) {
    let started = SystemClock.monotonicMilliseconds()
    let received: LinkConnection.Received
    do throws(LifeboatError) {
      received = try connection.receive(
        into: buffer, waitingMilliseconds: waitingMilliseconds)
    } catch {
      throw explained(error)
    }
    switch received {
    case .bytes(let count):
      reader.append(buffer[..<count])
    case .closed:
      throw closed(cause: nil)
    case .nothing:
      guard SystemClock.monotonicMilliseconds() - started < waitingMilliseconds else { return }
      throw LifeboatError(
        .failure, "waiting for the Redis server \(address) was cancelled", isRetryable: true)
    }
  }

  // MARK: Errors

  /// A server that expects TLS may reset a connection without it. So may one that requires a client
  /// certificate: its TLS alert is lost if the reset arrives first.
  private func explained(_ error: LifeboatError) -> LifeboatError {
    hasAnswered || !error.isRetryable ? error : closed(cause: error.cause)
  }

  private func closed(cause: String?) -> LifeboatError {
    let hint: String
    if hasAnswered {
      hint = "check the server's log"
    } else if connection.isTLS {
      hint =
        "if the server requires a client certificate (`tls-auth-clients`), name one that its CA"
        + " (`tls-ca-cert-file`) issued, and its key; otherwise check the server's log"
    } else {
      hint =
        "if this port uses TLS, write rediss:// for redis://; otherwise check the server's log"
    }
    return LifeboatError(
      .failure, "the Redis server \(address) closed the connection",
      cause: hasAnswered
        ? cause : "before its first reply" + (cause.map { ": " + $0 } ?? ""),
      hint: hint,
      isRetryable: true)
  }

  private func silent(_ milliseconds: Int) -> LifeboatError {
    LifeboatError(
      .failure, "the Redis server \(address) does not answer",
      cause: "nothing came within \(humanDuration(milliseconds: Int64(milliseconds)))",
      hint: "check that it is not stopped or busy with one long command (SLOWLOG GET)",
      isRetryable: true)
  }

  private func malformed(_ fault: RESPReplyReader.Fault) -> LifeboatError {
    switch fault {
    case .tooLong: malformed("a reply of more than \(humanBytes(RedisSession.replyBytesMax))")
    case .malformed(let what): malformed(what)
    }
  }

  private func malformed(_ cause: String) -> LifeboatError {
    connection.close()
    return LifeboatError(
      .failure, "the server at \(address) does not use the Redis protocol", cause: cause,
      hint: "check the host and the port; a proxy in between must pass bytes through unchanged",
      isRetryable: true)
  }
}
