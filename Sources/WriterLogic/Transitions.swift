/// Changes of state, for whoever counts them: the simulator, and tests.
package enum Transitions {
  @TaskLocal package static var observer: (@Sendable (String) -> Void)?

  static func note(_ what: String, _ from: String, _ to: String) {
    guard from != to, let observer else { return }
    observer(text(what, from, to))
  }

  package static func text(_ what: String, _ from: String, _ to: String) -> String {
    "\(what): \(from) to \(to)"
  }
}
