import Glibc
import Synchronization

/// A TCP server on 127.0.0.1 for tests. Each connection has a thread, which runs a closure. When the closure
/// returns, the connection is closed. The server stops when the last reference is released.
package final class ByteServer: Sendable {
  package typealias Handler = @Sendable (ByteConnection) -> Void

  private struct State {
    var open: Set<Int32> = []
    var isStopped = false
  }
  private final class Shared: Sendable {
    let state = Mutex(State())
  }

  package let port: UInt16
  private let listener: Int32
  private let shared = Shared()

  package init(_ handler: @escaping Handler) throws {
    (listener, port) = try listenOnLoopback()
    startThread { [listener, shared] in ByteServer.accept(on: listener, shared, handler) }
  }

  deinit { stop() }

  /// Closes everything. From now on, connections are refused.
  package func stop() {
    shared.state.withLock { state in
      guard !state.isStopped else { return }
      state.isStopped = true
      for socket in state.open { shutdown(socket, Int32(SHUT_RDWR)) }
      // `accept` fails then, and its thread closes the listener.
      shutdown(listener, Int32(SHUT_RDWR))
    }
  }

  private static func accept(
    on listener: Int32, _ shared: Shared, _ handler: @escaping Handler
  ) {
    defer { close(listener) }
    while true {
      let socket = Glibc.accept(listener, nil, nil)
      if socket < 0 {
        if errno == EINTR || errno == ECONNABORTED { continue }
        return
      }
      _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
      let isWanted = shared.state.withLock { state in
        if !state.isStopped { state.open.insert(socket) }
        return !state.isStopped
      }
      guard isWanted else {
        close(socket)
        continue
      }
      startThread {
        handler(ByteConnection(socket))
        shared.state.withLock { state in
          state.open.remove(socket)
          close(socket)
        }
      }
    }
  }
}

/// One connection of a `ByteServer`, for its thread.
package struct ByteConnection {
  private let socket: Int32

  init(_ socket: Int32) { self.socket = socket }

  /// The next bytes; nil if the client closed the connection.
  package func receive(max: Int = 64 << 10) -> [UInt8]? {
    var chunk = [UInt8](repeating: 0, count: max)
    let count = recv(socket, &chunk, chunk.count, 0)
    return count > 0 ? Array(chunk[..<count]) : nil
  }

  /// Sends the bytes. Returns whether all of them were sent.
  @discardableResult
  package func send(_ bytes: [UInt8]) -> Bool {
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

  /// Makes closing the connection a reset.
  package func resetWhenClosed() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  }

  /// Waits at most 60 s until the client is gone. Reads nothing meanwhile.
  package func waitForClose() {
    var entry = pollfd(fd: socket, events: 0x2000, revents: 0)  // POLLRDHUP
    _ = poll(&entry, 1, 60_000)
  }
}
