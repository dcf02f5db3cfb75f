import CCurl
import Synchronization

/// The sockets of one easy handle, kept so that another thread can shut them down.
///
/// libcurl notices a cancellation only when it next calls back, up to a second later; a socket that is shut
/// down wakes it at once. Closing and shutting down take the same lock, so a number that was closed and now
/// belongs to another file is never shut down.
final class SocketTable: Sendable {
  private struct State {
    var open: Set<Int32> = []
    /// While set, no socket is opened: libcurl would otherwise reconnect for a connection that died.
    var isCancelled = false
  }
  private let state = Mutex(State())

  func open(_ address: OpaquePointer) -> Int32 {
    state.withLock { state in
      guard !state.isCancelled else { return Int32(CCURL_NO_SOCKET) }
      let socket = ccurl_open_socket(address)
      if socket != Int32(CCURL_NO_SOCKET) { state.open.insert(socket) }
      return socket
    }
  }

  func close(_ socket: Int32) -> Int32 {
    state.withLock { state in
      state.open.remove(socket)
      return ccurl_close_socket(socket)
    }
  }

  func begin() { state.withLock { $0.isCancelled = false } }

  func cancel() {
    state.withLock { state in
      state.isCancelled = true
      for socket in state.open { _ = ccurl_shut_down_socket(socket) }
    }
  }
}

/// Lets a request be cancelled from any thread, before, while and after it is performed.
final class Cancellation: Sendable {
  private struct State {
    var isCancelled = false
    var sockets: SocketTable?
  }
  private let state = Mutex(State())

  var isCancelled: Bool { state.withLock { $0.isCancelled } }

  func cancel() {
    state.withLock { state in
      state.isCancelled = true
      state.sockets?.cancel()
    }
  }

  /// From here on `cancel` also shuts down `sockets`. False when it came before.
  func attach(_ sockets: SocketTable) -> Bool {
    state.withLock { state in
      guard !state.isCancelled else { return false }
      sockets.begin()
      state.sockets = sockets
      return true
    }
  }

  /// After this, `cancel` no longer touches the sockets, which another request may use next.
  func detach() { state.withLock { $0.sockets = nil } }
}
