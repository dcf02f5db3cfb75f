/// One of the two lanes. It performs one action at a time.
enum Lane<Work: Sendable>: Sendable {
  case idle
  case busy(Work)

  var work: Work? { if case .busy(let work) = self { work } else { nil } }
  var isIdle: Bool { work == nil }

  mutating func begin(_ work: Work) -> IllegalTransition? {
    guard isIdle else { return IllegalTransition("a lane is asked for two things at once") }
    self = .busy(work)
    return nil
  }

  /// Ends the current action, and returns it.
  mutating func end() -> Result<Work, IllegalTransition> {
    guard let work else { return .failure(IllegalTransition("something ended that had not begun")) }
    self = .idle
    return .success(work)
  }
}
