import Glibc
import Synchronization

/// A gate in front of an S3 server on loopback. It forwards requests byte for byte, so signatures stay valid.
/// It refuses every key that is not valid at the moment, and can be closed in several ways.
package final class S3Gate: Sendable {
  package enum Way: Sendable {
    case open
    /// Every connection is reset after a request has arrived.
    case resets
    /// Every request is answered with 503 SlowDown.
    case busy
  }

  private struct State {
    var way = Way.open
    var keys: Set<String>
    /// By the access key that was refused.
    var refusals: [String: Int] = [:]
  }

  private let server: LoopbackServer
  private let state: Shared

  private final class Shared: Sendable {
    let state: Mutex<State>
    init(keys: Set<String>) { state = Mutex(State(keys: keys)) }
  }

  /// - Parameter port: the server's port on 127.0.0.1.
  package init(to port: UInt16, keys: Set<String>) throws {
    let shared = Shared(keys: keys)
    state = shared
    server = try LoopbackServer(remembers: false) { request in
      S3Gate.action(request, shared, port)
    }
  }

  package var url: String { server.url }
  /// How often a request with that key was refused.
  package func refusals(of key: String) -> Int { state.state.withLock { $0.refusals[key] ?? 0 } }
  package func set(_ way: Way) { state.state.withLock { $0.way = way } }
  package func set(keys: Set<String>) { state.state.withLock { $0.keys = keys } }

  private static func action(
    _ request: LoopbackRequest, _ shared: Shared, _ port: UInt16
  ) -> LoopbackAction {
    let key = accessKey(of: request)
    let (way, isValid) = shared.state.withLock { state in
      let isValid = state.keys.contains(key)
      if !isValid { state.refusals[key, default: 0] += 1 }
      return (state.way, isValid)
    }
    switch way {
    case .resets: return .reset
    case .busy: return .reply(FaultS3Server.error(503, "SlowDown"))
    case .open: break
    }
    guard isValid else {
      return .reply(
        FaultS3Server.error(
          403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist"))
    }
    return forward(request, to: port).map { .reply($0) } ?? .reset
  }

  private static func accessKey(of request: LoopbackRequest) -> String {
    let words = request["Authorization"]?.firstRange(of: "Credential=").map {
      request["Authorization"]![$0.upperBound...].prefix { $0 != "/" }
    }
    return words.map(String.init) ?? ""
  }

  /// Uses HTTP/1.0, where a reply ends with the connection and is not chunked. Nil if the reply was
  /// incomplete.
  private static func forward(_ request: LoopbackRequest, to port: UInt16) -> LoopbackReply? {
    guard let connection = try? LoopbackClient(port: port) else { return nil }
    var head = "\(request.method) \(request.target) HTTP/1.0\r\n"
    for (name, value) in request.headers where name.lowercased() != "connection" {
      head += "\(name): \(value)\r\n"
    }
    guard connection.send(Array((head + "\r\n").utf8) + request.body),
      let answer = connection.receiveAll(),
      let headEnd = answer.firstRange(of: Array("\r\n\r\n".utf8))
    else { return nil }
    let lines = String(decoding: answer[..<headEnd.lowerBound], as: UTF8.self)
      .split(separator: "\r\n")
    guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return nil }
    let body = Array(answer[headEnd.upperBound...])
    var reply = LoopbackReply(status, body: body)
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let (name, value) = (String(line[..<colon]), line[line.index(after: colon)...])
      switch name.lowercased() {
      case "connection", "transfer-encoding": continue
      case "content-length":
        // A truncated reply does not count.
        let length = Int(value.drop { $0 == " " })
        if request.method != "HEAD", status != 204, length != body.count { return nil }
      default: reply.headers.append((name, String(value.drop { $0 == " " })))
      }
    }
    return reply
  }
}

/// One blocking connection to a port of 127.0.0.1.
private final class LoopbackClient {
  private let descriptor: Int32
  /// The longest wait for a frozen server. It is longer than any of our clients waits.
  private static let secondsMax = 300

  init(port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw HarnessError.last("socket") }
    var limit = timeval(tv_sec: LoopbackClient.secondsMax, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { throw HarnessError.last("connect to port \(port)") }
  }

  deinit { close(descriptor) }

  func send(_ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  /// Everything up to the end of the stream; nil if the connection broke.
  func receiveAll() -> [UInt8]? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      guard count >= 0 else { return nil }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
    }
  }
}
