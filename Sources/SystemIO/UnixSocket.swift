package import BackupTypes
import Glibc
package import SystemPackage

/// A connection to a Unix socket. It blocks for at most `waitMilliseconds` at a time.
package final class UnixSocket: Sendable {
  /// A path has to fit into `sockaddr_un`, with its terminating NUL.
  package static let pathBytesMax = 107
  private let descriptor: Int32
  private let path: FilePath

  package init(connecting path: FilePath, waitMilliseconds: Int) throws(LifeboatError) {
    guard path.string.utf8.count <= UnixSocket.pathBytesMax else {
      throw LifeboatError(
        .usage, "the path of a socket is too long: \(printable(path.string))",
        hint: "choose a shorter TMPDIR")
    }
    self.path = path
    let made = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard made >= 0 else {
      throw LifeboatError(.current, action: "create a socket for", path: path)
    }
    descriptor = made
    // From here on, a thrown error runs deinit, which closes the socket.
    var limit = timeval(
      tv_sec: waitMilliseconds / 1000, tv_usec: waitMilliseconds % 1000 * 1000)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(made, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.string.utf8) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(made, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard result == 0 else { throw LifeboatError(.current, action: "connect to", path: path) }
  }

  deinit { close(descriptor) }

  /// Sends bytes. Returns how many were sent: 0 if none could be sent in time.
  package func send(_ bytes: UnsafeRawBufferPointer) throws(LifeboatError) -> Int {
    while true {
      let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
      if count >= 0 { return count }
      if errno == EAGAIN { return 0 }
      guard errno == EINTR else { throw LifeboatError(.current, action: "write to", path: path) }
    }
  }

  /// Receives available bytes, or waits for them; nil if nothing came in time, 0 at the end of the stream.
  package func receive(into buffer: UnsafeMutableRawBufferPointer) throws(LifeboatError) -> Int? {
    while true {
      let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count >= 0 { return count }
      if errno == EAGAIN { return nil }
      guard errno == EINTR else { throw LifeboatError(.current, action: "read from", path: path) }
    }
  }
}
