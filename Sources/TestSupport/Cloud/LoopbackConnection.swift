import Glibc

/// One connection of a `LoopbackServer`, confined to its thread.
final class LoopbackConnection {
  private let socket: Int32
  private var buffer: [UInt8] = []

  init(_ socket: Int32) { self.socket = socket }

  /// The next request; nil if the client closed the connection or did not send HTTP.
  func next() -> LoopbackRequest? {
    let end = Array("\r\n\r\n".utf8)
    var headEnd = buffer.firstRange(of: end)
    while headEnd == nil {
      guard buffer.count < 256 << 10, receive(), buffer[0] != 0x16 else { return nil }  // TLS
      headEnd = buffer.firstRange(of: end)
    }
    let lines = String(decoding: buffer[..<headEnd!.lowerBound], as: UTF8.self)
      .split(separator: "\r\n")
    buffer.removeSubrange(..<headEnd!.upperBound)
    let words = lines.first?.split(separator: " ") ?? []
    guard words.count == 3 else { return nil }
    let headers = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
      guard let colon = line.firstIndex(of: ":") else { return nil }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      return (String(line[..<colon]), String(value))
    }
    var request = LoopbackRequest(
      method: String(words[0]), target: String(words[1]), headers: headers, body: [])
    let length = request["Content-Length"].flatMap { Int($0) } ?? 0
    guard length >= 0, length <= 256 << 20 else { return nil }
    buffer.reserveCapacity(length)
    while buffer.count < length { guard receive() else { return nil } }
    request.body = Array(buffer.prefix(length))
    buffer.removeFirst(length)
    return request
  }

  /// Returns whether the connection continues.
  func perform(_ action: LoopbackAction, of request: LoopbackRequest) -> Bool {
    switch action {
    case .reply(let reply):
      return send(reply, of: request)
    case .replyAndClose(let reply):
      _ = send(reply, of: request)
    case .truncate(let reply, let bytes):
      _ = send(head(reply, length: reply.body.count) + reply.body.prefix(bytes))
    case .undelimited(let reply):
      _ = send(head(reply, length: nil) + reply.body)
    case .trickle(let reply, let milliseconds):
      guard send(head(reply, length: reply.body.count)) else { return false }
      for byte in reply.body {
        guard send([byte]) else { return false }
        usleep(milliseconds * 1000)
      }
      return true
    case .stall:
      var entry = pollfd(fd: socket, events: 0x2000, revents: 0)  // POLLRDHUP
      _ = poll(&entry, 1, 30_000)
    case .reset:
      var option = linger(l_onoff: 1, l_linger: 0)
      setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    case .hangUp: break
    case .delay(let milliseconds, let then):
      usleep(milliseconds * 1000)
      return perform(then, of: request)
    }
    return false
  }

  private func send(_ reply: LoopbackReply, of request: LoopbackRequest) -> Bool {
    let body = request.method == "HEAD" ? [] : reply.body
    return send(head(reply, length: reply.body.count) + body)
  }

  private func head(_ reply: LoopbackReply, length: Int?) -> [UInt8] {
    var text = "HTTP/1.1 \(reply.status) Status\r\n"
    for (name, value) in reply.headers { text += "\(name): \(value)\r\n" }
    if let length, reply.status != 204 { text += "Content-Length: \(length)\r\n" }
    return Array((text + "\r\n").utf8)
  }

  private func receive() -> Bool {
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    let count = recv(socket, &chunk, chunk.count, 0)
    guard count > 0 else { return false }
    buffer += chunk[..<count]
    return true
  }

  private func send(_ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }
}
