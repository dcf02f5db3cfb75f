import Glibc

/// A real browser without a window (Debian's Chromium). It loads a page, lets its script run, and returns the
/// result.
package enum HeadlessBrowser {
  package struct Visit: Sendable, CustomStringConvertible {
    /// The document after its script ran, as HTML.
    package var document: String
    /// The browser's console: errors, and violations of the page's content security policy.
    package var console: [String]
    package var description: String { console.joined(separator: "\n") + "\n" + document }

    /// The text of the element with this id, if it has no child elements.
    package func text(_ id: String) -> String? {
      guard let start = document.firstRange(of: " id=\"\(id)\"") else { return nil }
      let rest = document[start.upperBound...].drop { $0 != ">" }.dropFirst()
      return String(rest.prefix { $0 != "<" }).replacing("&amp;", with: "&")
    }
    /// Whether the element with this id is hidden.
    package func isHidden(_ id: String) -> Bool {
      guard let start = document.firstRange(of: " id=\"\(id)\"") else { return true }
      let before = document[..<start.lowerBound].reversed().prefix { $0 != "<" }
      let tag = before.reversed() + document[start.lowerBound...].prefix { $0 != ">" }
      return String(tag).contains(" hidden")
    }
  }

  private static let paths = [
    "/usr/bin/chromium-headless-shell", "/usr/bin/chromium", "/usr/bin/chromium-browser",
  ]

  /// - Parameters:
  ///   - milliseconds: how long to run, in the page's virtual time, which skips idle periods.
  ///   - width: the width of the window in pixels.
  /// - Throws: if there is no browser, or it does not exit.
  package static func visit(
    _ address: String, milliseconds: Int = 4000, width: Int = 1200
  ) async throws -> Visit {
    guard let path = paths.first(where: { access($0, X_OK) == 0 }) else {
      throw HarnessError("there is no browser: run scripts/servers")
    }
    let folder = try TemporaryDirectory("browser")
    let child = try ChildProcess(
      path,
      [
        // The sandbox needs privileges that a container does not have. The pages are ours.
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--user-data-dir=\(folder("profile"))", "--window-size=\(width),900",
        "--enable-logging=stderr", "--v=0", "--virtual-time-budget=\(milliseconds)", "--dump-dom",
        address,
      ], output: .file(folder("out")), errors: .file(folder("err")))
    let end = try await child.wait(deadline: 120)
    let errors = try TestFiles.text(folder("err"))
    let document = try TestFiles.text(folder("out"))
    guard end == .exited(0), !document.isEmpty else {
      throw HarnessError("the browser ended with \(end): \(errors.suffix(2000))")
    }
    let console = errors.split(separator: "\n").filter { $0.contains(":CONSOLE") }.map(String.init)
    return Visit(document: document, console: console)
  }
}
