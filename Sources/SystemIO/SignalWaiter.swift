package import BackupTypes
import Glibc
import Synchronization

/// Turns SIGTERM and SIGINT into calls of a closure on a thread of its own.
///
/// The signals are blocked in the thread that makes the waiter and in every thread that this thread makes
/// later. So it must be made first in `main`. It lives as long as the process.
package final class SignalWaiter: Sendable {
  package enum Signal: Sendable { case terminate, interrupt }

  private let thread: SystemThread

  /// - Parameter onSignal: gets the signal and how many have arrived so far. The first one requests a clean
  ///   shutdown, the second one an immediate exit. Signals that arrive while it runs wait (at most one of
  ///   each kind).
  package init(onSignal: @escaping @Sendable (Signal, Int) -> Void) throws(LifeboatError) {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    sigaddset(&set, SIGINT)
    pthread_sigmask(SIG_BLOCK, &set, nil)
    thread = try SystemThread(name: "signals") { [set] in
      var (set, number, count) = (set, Int32(0), 0)
      while sigwait(&set, &number) == 0 {
        count += 1
        onSignal(number == SIGINT ? .interrupt : .terminate, count)
      }
    }
    thread.detach()
  }

  /// Sends a signal only to the waiting thread, for tests.
  func simulate(_ signal: Signal) {
    thread.send(signal: signal == .interrupt ? SIGINT : SIGTERM)
  }
}
