/// Reports changes of state to the simulator and to tests, which count them.
package enum Transitions {
  /// A class, because Swift 6.3 crashes in optimized code with a function as the value of a task local.
  package final class Observer: Sendable {
    fileprivate let take: @Sendable (String) -> Void
    package init(_ take: @escaping @Sendable (String) -> Void) { self.take = take }
  }
  @TaskLocal package static var observer: Observer?

  static func note(_ what: String, _ from: String, _ to: String) {
    guard from != to, let observer else { return }
    observer.take(text(what, from, to))
  }

  package static func text(_ what: String, _ from: String, _ to: String) -> String {
    "\(what): \(from) to \(to)"
  }
}
