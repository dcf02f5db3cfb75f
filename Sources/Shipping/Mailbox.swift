import Synchronization
package import SystemIO

/// Where the shipper's loop waits for results of its lanes, a change in the data directory, or a signal.
///
/// Its size is bounded: each lane has at most one result outstanding, and a pending change or signal is not
/// posted twice.
package final class Mailbox<Event: Sendable & Equatable>: Sendable {
  private let events = Mutex<[Event]>([])
  private let bell: any Bell

  package init(bell: any Bell) { self.bell = bell }

  /// Leaves an event for the loop. An event that is equal to a pending one is dropped.
  package func post(_ event: Event) {
    events.withLock { if !$0.contains(event) { $0.append(event) } }
    bell.signal()
  }

  /// Returns the pending events; if there are none, waits for at most `milliseconds`. An empty result means
  /// that the time is up or the task was cancelled.
  package func next(waiting milliseconds: Int64) async -> [Event] {
    let ready = take()
    guard ready.isEmpty, milliseconds > 0, !Task.isCancelled else { return ready }
    await withTaskCancellationHandler {
      await bell.wait(milliseconds: milliseconds)
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
