/// A text that no description, dump or mirror shows. Only `reveal()` does.
package struct Redacted: Sendable, Hashable {
  private let text: String

  package init(_ text: String) { self.text = text }

  /// The secret itself, for code that signs with it or sends it.
  package func reveal() -> String { text }

  package var isEmpty: Bool { text.isEmpty }
}

extension Redacted: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "(redacted)" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: [:]) }
}
