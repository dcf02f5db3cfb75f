import Synchronization
import SystemIO

/// Where the shipper's loop waits: results of its lanes, a change in the data directory, a signal.
///
/// Bounded by construction: each lane has at most one result outstanding, and a change or a signal that
/// was not yet taken is not posted twice.
package final class Mailbox<Event: Sendable & Equatable>: Sendable {
  private let events = Mutex<[Event]>([])
  private let bell = WaitPoint()

  package init() {}

  /// Leaves an event for the loop; one equal to an event that still waits is dropped.
  package func post(_ event: Event) {
    events.withLock { if !$0.contains(event) { $0.append(event) } }
    bell.signal()
  }

  /// What has gathered; waits for at most `milliseconds` when nothing has. Empty: time passed, or the
  /// task was cancelled.
  ///
  /// Waits by blocking its thread, which is one of the pool's: an idle shipper is woken once for each
  /// poll, where suspending would cost a dozen switches between threads.
  package func next(waiting milliseconds: Int64) async -> [Event] {
    let ready = take()
    guard ready.isEmpty, milliseconds > 0, !Task.isCancelled else { return ready }
    await withTaskCancellationHandler {
      bell.wait(milliseconds: milliseconds)
    } onCancel: {
      bell.signal()
    }
    return take()
  }

  private func take() -> [Event] {
    events.withLock { events in
      defer { events = [] }
      return events
    }
  }
}
