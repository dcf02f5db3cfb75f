/// A requested stop. In a plain container both processes get SIGTERM at once, and Redis may still be writing:
/// shipping continues until nothing has changed for a while, or until the time is up.
///
/// A run has at most one stop. If the run claims again, the stop and its deadline stay the same. Times are
/// monotonic milliseconds.
package struct Stop: Sendable {
  /// Files count as quiet if nothing has changed for this long.
  private static let quiet: Int64 = 2000
  /// The closing snapshot is written this long before the deadline, whatever is still pending.
  private static let reserve: Int64 = 3000

  /// When it was requested.
  package let begun: Int64
  private let deadline: Int64
  private var lastChange: Int64
  private var view: CaptureView?
  private var saves = ""
  private var hasBegunAgain = false

  /// - Parameter view: the last look. Nil: the next look does not count as a change.
  package init(now: Int64, deadline: Int64, view: CaptureView?) {
    begun = now
    self.deadline = deadline
    self.view = view
    lastChange = now
  }

  package mutating func saw(_ newView: CaptureView, now: Int64) {
    if let view, !view.isSame(as: newView) { lastChange = now }
    view = newView
  }
  /// - Parameter newSaves: describes the saves in progress.
  package mutating func saw(saves newSaves: String, now: Int64) {
    guard newSaves != saves else { return }
    saves = newSaves
    lastChange = now
  }

  /// A timeline ended by itself, so the data on disk is claimed again. That gets as much time as after a
  /// change, but only once: otherwise a permanent fault would create timelines until the deadline.
  package mutating func beginAgain(now: Int64) {
    guard !hasBegunAgain else { return }
    hasBegunAgain = true
    lastChange = now
  }

  package func isQuiet(_ now: Int64) -> Bool { now - lastChange >= Stop.quiet }
  /// Only the closing snapshot is still worth writing.
  package func isLate(_ now: Int64) -> Bool { now >= deadline - Stop.reserve }
  package func isOver(_ now: Int64) -> Bool { now >= deadline }
}
