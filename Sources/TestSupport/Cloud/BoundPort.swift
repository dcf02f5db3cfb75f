// This file comes first in the module and imports Glibc before any other file can load CCrypto, whose headers
// also declare the types of pthreads. Swift attributes these types to the module that it loads first, and
// `Servers/Blocking.swift` needs Glibc's.
import Glibc

/// A listening socket on 127.0.0.1, on a port that the kernel chose.
///
/// - Returns: the descriptor, which the caller closes, and the port.
func listenOnLoopback() throws -> (descriptor: Int32, port: UInt16) {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  guard descriptor >= 0 else { throw HarnessError.last("socket") }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let isBound = withUnsafeMutablePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
      bind(descriptor, generic, length) == 0 && listen(descriptor, 64) == 0
        && getsockname(descriptor, generic, &length) == 0
    }
  }
  guard isBound else {
    defer { close(descriptor) }
    throw HarnessError.last("bind")
  }
  return (descriptor, UInt16(bigEndian: address.sin_port))
}

/// Different ports that were free a moment ago, for servers that can't choose their own.
package func freePorts(_ count: Int) throws -> [UInt16] {
  let sockets = try (0..<count).map { _ in try listenOnLoopback() }
  defer { for socket in sockets { close(socket.descriptor) } }
  return sockets.map(\.port)
}
