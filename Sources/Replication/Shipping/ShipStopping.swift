/// A requested end. In a plain container both processes get SIGTERM at once, and Redis may still be
/// writing. Shipping continues until nothing has changed for a while.
struct ShipStopping {
  private static let quiet: Int64 = 2000
  /// The closing snapshot is written this long before the deadline, whatever is still pending.
  private static let reserve: Int64 = 3000
  let deadline: Int64
  private var lastChange: Int64
  private var temporaryDumps = ""

  init(now: Int64, timeout: Int64) {
    deadline = now + timeout
    lastChange = now
  }

  mutating func noteChange(now: Int64) { lastChange = now }
  mutating func note(temporaryDumps state: String, now: Int64) {
    guard state != temporaryDumps else { return }
    temporaryDumps = state
    lastChange = now
  }
  func isQuiet(_ now: Int64) -> Bool { now - lastChange >= ShipStopping.quiet }
  func isLate(_ now: Int64) -> Bool { now >= deadline - ShipStopping.reserve }
}
