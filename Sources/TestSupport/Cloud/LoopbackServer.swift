import Glibc
import Synchronization

/// A small HTTP/1.1 server on 127.0.0.1 for tests. It has a thread for each connection, and a closure decides
/// the replies. It can misbehave in every way in which a server can. It stops when the last reference is
/// released.
package final class LoopbackServer: Sendable {
  package typealias Handler = @Sendable (LoopbackRequest) -> LoopbackAction

  private struct State {
    var handler: Handler
    var open: Set<Int32> = []
    var connections = 0
    var requests: [LoopbackRequest] = []
    var requestCount = 0
    var isStopped = false
  }

  /// More connections than any of our clients opens. A further one is closed at once.
  private static let connectionsMax = 128

  package let port: UInt16
  private let listener: Int32
  private let state: Shared

  /// Outlives the server: its threads hold it.
  private final class Shared: Sendable {
    let state: Mutex<State>
    let remembers: Bool
    init(_ handler: @escaping Handler, remembers: Bool) {
      state = Mutex(State(handler: handler))
      self.remembers = remembers
    }
  }

  /// - Parameter remembers: whether `requests` records the requests; false for a server that runs for hours.
  package init(remembers: Bool = true, handler: @escaping Handler) throws {
    (listener, port) = try listenOnLoopback()
    state = Shared(handler, remembers: remembers)
    startThread { [listener, state] in LoopbackServer.accept(on: listener, state) }
  }

  deinit { stop() }

  package var url: String { "http://127.0.0.1:\(port)" }
  /// Every request so far, including those without a reply.
  package var requests: [LoopbackRequest] { state.state.withLock { $0.requests } }
  /// Connections accepted so far.
  package var connections: Int { state.state.withLock { $0.connections } }

  package func handle(_ handler: @escaping Handler) {
    state.state.withLock { $0.handler = handler }
  }

  /// Closes everything. From now on, connections are refused.
  package func stop() {
    state.state.withLock { state in
      guard !state.isStopped else { return }
      state.isStopped = true
      for socket in state.open { shutdown(socket, Int32(SHUT_RDWR)) }
      // `accept` fails then, and its thread closes the listener.
      shutdown(listener, Int32(SHUT_RDWR))
    }
  }

  /// Closes the connections that are open now, as an idle timeout does.
  package func closeConnections() {
    state.state.withLock { state in
      for socket in state.open { shutdown(socket, Int32(SHUT_RDWR)) }
    }
  }

  private static func accept(on listener: Int32, _ shared: Shared) {
    defer { close(listener) }
    while true {
      let socket = Glibc.accept(listener, nil, nil)
      if socket < 0 {
        if errno == EINTR || errno == ECONNABORTED { continue }
        return
      }
      _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
      let number = shared.state.withLock { state -> Int? in
        guard !state.isStopped, state.open.count < connectionsMax else { return nil }
        state.connections += 1
        state.open.insert(socket)
        return state.connections
      }
      guard let number else {
        close(socket)
        continue
      }
      startThread { serve(socket, number, shared) }
    }
  }

  private static func serve(_ socket: Int32, _ number: Int, _ shared: Shared) {
    let connection = LoopbackConnection(socket)
    defer {
      shared.state.withLock { state in
        state.open.remove(socket)
        close(socket)
      }
    }
    while var request = connection.next() {
      request.connection = number
      let handler = shared.state.withLock { state in
        state.requestCount += 1
        request.number = state.requestCount
        if shared.remembers { state.requests.append(request) }
        return state.handler
      }
      guard connection.perform(handler(request), of: request) else { return }
    }
  }
}

package struct LoopbackRequest: Sendable {
  package var method: String
  /// The target as it was sent.
  package var target: String
  package var headers: [(name: String, value: String)]
  package var body: [UInt8]
  /// Both count from 1.
  package var connection = 0
  package var number = 0

  package subscript(_ header: String) -> String? {
    headers.first { $0.name.lowercased() == header.lowercased() }?.value
  }

  /// The part before the query, still encoded.
  package var path: String { String(target.prefix { $0 != "?" }) }
}

package struct LoopbackReply: Sendable {
  package var status: Int
  package var headers: [(String, String)]
  package var body: [UInt8]

  package init(_ status: Int, headers: [(String, String)] = [], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  package init(_ status: Int, headers: [(String, String)] = [], text: String) {
    self.init(status, headers: headers, body: Array(text.utf8))
  }
}

package indirect enum LoopbackAction: Sendable {
  case reply(LoopbackReply)
  /// As `reply`, but then the connection is closed without a `Connection: close`.
  case replyAndClose(LoopbackReply)
  /// The headers give the length of the body, but only this many bytes follow.
  case truncate(LoopbackReply, bytes: Int)
  /// The end of the connection ends the body. There is no length.
  case undelimited(LoopbackReply)
  /// The bytes of the body come one by one, this many milliseconds apart.
  case trickle(LoopbackReply, milliseconds: UInt32)
  /// Nothing is sent until the client closes the connection, for at most 30 s.
  case stall
  /// The connection is closed with a reset.
  case reset
  /// The connection is closed.
  case hangUp
  case delay(milliseconds: UInt32, LoopbackAction)
}
