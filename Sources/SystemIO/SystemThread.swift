package import BackupTypes
import CLinux
import Glibc
import SystemPackage

/// A named thread, for work that blocks as long as it lives.
package struct SystemThread: Sendable {
  /// Enough for our loops and a callback. The default of 8 MiB counts against some memory limits.
  static let stackBytes = 512 * 1024

  private let handle: pthread_t

  /// - Parameter name: the name in `ps -T`. It is cut to 15 bytes.
  package init(name: String, _ body: @escaping @Sendable () -> Void) throws(LifeboatError) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, SystemThread.stackBytes)
    let box = Unmanaged.passRetained(Body(body))
    var handle = pthread_t()
    let result = pthread_create(
      &handle, &attributes,
      { argument in
        Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, box.toOpaque())
    guard result == 0 else {
      box.release()
      throw LifeboatError(
        Errno(rawValue: result), action: "start", object: "the thread \(name)")
    }
    self.handle = handle
    // Only for people who look at the process, so a failure is ignored.
    _ = clinux_name_thread(handle, String(decoding: Array(name.utf8.prefix(15)), as: UTF8.self))
  }

  /// Waits for the end of the thread. On the thread itself, this detaches it. Call exactly one of `join` and
  /// `detach`, exactly once.
  package func join() {
    if pthread_equal(handle, pthread_self()) != 0 {
      pthread_detach(handle)
    } else {
      pthread_join(handle, nil)
    }
  }

  /// Detaches the thread, so nobody waits for its end.
  package func detach() { pthread_detach(handle) }

  /// Sends a signal only to this thread.
  func send(signal: Int32) { pthread_kill(handle, signal) }

  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
}
