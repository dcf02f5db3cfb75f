import Glibc

/// A blocking RESP2 client on a Unix socket. It never retries or reconnects.
///
/// `@unchecked Sendable`: the owner must make sure that only one task or thread at a time uses the client. It
/// may be passed to another one.
package final class RESPClient: @unchecked Sendable {
  private let descriptor: Int32
  private var output: [UInt8] = []
  /// Received bytes. Those before `position` are used.
  private var input: [UInt8] = []
  private var position = 0
  private var chunk = [UInt8](repeating: 0, count: 256 << 10)

  package init(socket path: String, timeout seconds: Int = 60) throws {
    // Nothing between here and the end of init may throw without closing.
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw HarnessError.last("socket") }
    self.descriptor = descriptor
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(
        descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let capacity = MemoryLayout.size(ofValue: address.sun_path)
    precondition(path.utf8.count < capacity, "socket path too long: \(path)")
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    // A thrown error runs deinit, which closes.
    guard result == 0 else {
      throw RESPError.disconnected(HarnessError.last("connect \(path)").description)
    }
  }

  deinit { close(descriptor) }

  /// Sends one command and returns its reply. Throws an error reply.
  @discardableResult
  package func command(_ arguments: any RESPArgument...) throws -> RESPValue {
    try run(arguments)
  }

  /// `command` for arguments that are already in an array.
  @discardableResult
  package func run(_ arguments: [any RESPArgument]) throws -> RESPValue {
    let reply = try pipeline([arguments])[0]
    if case .error(let message) = reply {
      let words = arguments.prefix(3).map { Blob($0.respBytes).description }
      throw RESPError.reply(message, command: words.joined(separator: " "))
    }
    return reply
  }

  /// Sends all commands, then reads as many replies. Error replies are returned like the others.
  package func pipeline(_ commands: [[any RESPArgument]]) throws -> [RESPValue] {
    for command in commands { encode(command) }
    try send()
    return try commands.map { _ in try reply() }
  }

  /// Sends without waiting for the reply, for `SHUTDOWN` and tests of half-done work.
  package func send(_ arguments: any RESPArgument...) throws {
    encode(arguments)
    try send()
  }

  private func encode(_ arguments: [any RESPArgument]) {
    output += "*\(arguments.count)\r\n".utf8
    for argument in arguments {
      let bytes = argument.respBytes
      output += "$\(bytes.count)\r\n".utf8
      output += bytes
      output += [13, 10]
    }
  }

  private func send() throws {
    var sent = 0
    while sent < output.count {
      let count = output.withUnsafeBytes {
        Glibc.send(
          descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count >= 0 { sent += count } else { try explain("send") }
    }
    output.removeAll(keepingCapacity: true)
  }

  private func fill() throws {
    if position == input.count {
      input.removeAll(keepingCapacity: true)
      position = 0
    } else if position > 1 << 20 {
      input.removeFirst(position)
      position = 0
    }
    while true {
      let count = chunk.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
      if count > 0 { return input += chunk[..<count] }
      if count == 0 { throw RESPError.disconnected("end of stream") }
      try explain("recv")
    }
  }

  /// Throws the error of `errno`. Returns if the call should be made again.
  private func explain(_ call: String) throws {
    switch errno {
    case EINTR: return
    case EAGAIN: throw RESPError.timeout
    default: throw RESPError.disconnected(HarnessError.last(call).description)
    }
  }

  private func reply() throws -> RESPValue {
    let line = try line()
    guard let kind = line.first else { throw RESPError.malformed("empty line") }
    let text = String(decoding: line.dropFirst(), as: UTF8.self)
    switch kind {
    case UInt8(ascii: "+"): return .simple(text)
    case UInt8(ascii: "-"): return .error(text)
    case UInt8(ascii: ":"): return .integer(try number(text))
    case UInt8(ascii: "$"):
      let count = try number(text)
      return count < 0 ? .null : .bulk(try bulk(count))
    case UInt8(ascii: "*"):
      let count = try number(text)
      return count < 0 ? .null : .array(try (0..<count).map { _ in try reply() })
    default: throw RESPError.malformed("kind \(kind)")
    }
  }

  private func number(_ text: String) throws -> Int {
    guard let value = Int(text) else { throw RESPError.malformed("number \(text)") }
    return value
  }

  /// The bytes up to CRLF. A line ends at the first LF: no line of a reply holds one.
  private func line() throws -> [UInt8] {
    var searched = 0
    while true {
      let end = input.withUnsafeBytes { bytes -> Int? in
        let start = position + searched
        guard start < bytes.count else { return nil }
        let found = memchr(bytes.baseAddress! + start, 10, bytes.count - start)
        return found.map { UnsafeRawPointer($0) - bytes.baseAddress! }
      }
      if let end {
        defer { position = end + 1 }
        return Array(input[position..<end - 1])
      }
      searched = input.count - position
      try fill()
      // `fill` may have moved the unused bytes to the front; `searched` counts from `position`.
    }
  }

  private func bulk(_ count: Int) throws -> [UInt8] {
    while input.count - position < count + 2 { try fill() }
    defer { position += count + 2 }
    return Array(input[position..<position + count])
  }
}
