package import BackupTypes
import CLinux
import Glibc
import SystemPackage

/// Waits until a socket can be read or written. Only one thread waits, and any thread can wake it.
package final class SocketWait: Sendable {
  package enum Readiness: Sendable { case readable, writable }
  package enum Outcome: Sendable, Equatable { case ready, woken, timedOut }

  private let bell: OpenFile

  package init() throws(LifeboatError) {
    let bell = clinux_eventfd()
    guard bell >= 0 else { throw LifeboatError(.current, action: "make", object: "an eventfd") }
    self.bell = OpenFile(descriptor: bell, path: "eventfd")
  }

  /// Ends the current wait, or the next one that can be woken.
  package func wake() {
    var one: UInt64 = 1
    // EAGAIN: the counter of the eventfd is at its maximum, so the next wait ends at once anyway.
    _ = retryingInterrupts { write(bell.descriptor, &one, 8) }
  }

  /// - Parameters:
  ///   - descriptor: a socket that the caller keeps open meanwhile. A broken socket counts as ready.
  ///   - milliseconds: 0 checks without waiting.
  ///   - canBeWoken: if not, `wake` stays in force for the next wait that can be woken.
  package func wait(
    for readiness: Readiness, of descriptor: Int32, milliseconds: Int32, canBeWoken: Bool
  ) throws(LifeboatError) -> Outcome {
    precondition(milliseconds >= 0, "a wait of \(milliseconds) ms")
    let deadline = SystemClock.monotonicMilliseconds() + Int64(milliseconds)
    var left = milliseconds
    while true {
      var descriptors = [
        pollfd(
          fd: descriptor, events: Int16(readiness == .readable ? POLLIN : POLLOUT), revents: 0),
        // poll(2) ignores a negative descriptor.
        pollfd(fd: canBeWoken ? bell.descriptor : -1, events: Int16(POLLIN), revents: 0),
      ]
      let count = poll(&descriptors, 2, left)
      if count < 0 {
        let number = Errno.current
        guard number == .interrupted else {
          throw LifeboatError(number, action: "wait for", object: "a socket")
        }
        left = Int32(max(0, deadline - SystemClock.monotonicMilliseconds()))
        continue
      }
      if descriptors[0].revents != 0 { return .ready }
      guard descriptors[1].revents != 0 else { return .timedOut }
      var rung: UInt64 = 0
      _ = retryingInterrupts { read(bell.descriptor, &rung, 8) }
      return .woken
    }
  }
}
