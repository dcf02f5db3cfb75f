/// A condition did not become true in time. Has the state that was seen instead.
package struct ConditionTimeout: Error, CustomStringConvertible {
  package let what: String
  package let seconds: Double
  package let state: String

  package var description: String {
    "not within \(seconds) s: \(what)" + (state.isEmpty ? "" : "; state: \(state)")
  }
}

/// Waits until `condition` holds. It is checked every few milliseconds.
///
/// Throws `ConditionTimeout` with the text of `state` after `deadline` seconds. Errors of `condition` are
/// thrown at once. The deadline is generous, because a test machine has two busy cores.
package func eventually(
  deadline seconds: Double = 120, _ what: String,
  isolation: isolated (any Actor)? = #isolation,
  condition: () async throws -> Bool, state: () async -> String = { "" }
) async throws {
  let clock = ContinuousClock()
  let end = clock.now.advanced(by: .seconds(seconds))
  var pause = Duration.milliseconds(1)
  while true {
    if try await condition() { return }
    if clock.now >= end {
      throw ConditionTimeout(what: what, seconds: seconds, state: await state())
    }
    try await Task.sleep(for: pause)
    pause = min(pause * 2, .milliseconds(20))
  }
}
