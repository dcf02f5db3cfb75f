import Glibc
import Testing

/// Appends a line for each test that ended to the file that `LIFEBOAT_TEST_TIMES` names: its seconds and its name.
///
/// Swift Testing counts the time that a test waits for its turn, too. With hundreds of tests and six at a time,
/// every test seems to take as long as the whole run. This is the time of the test itself. Each argument of a
/// parameterized test is a line of its own.
struct Timed: SuiteTrait, TestTrait, TestScoping {
  let isRecursive = true

  func provideScope(
    for test: Test, testCase: Test.Case?, performing run: @Sendable () async throws -> Void
  ) async throws {
    let begun = ContinuousClock.now
    defer {
      if testCase != nil {
        let seconds = Int((ContinuousClock.now - begun) / .seconds(1))
        append("\(seconds) \(test.displayName ?? test.name)\n")
      }
    }
    try await run()
  }

  /// One `write` to a file that is opened for appending: lines of tests that end together do not mix.
  private func append(_ line: String) {
    guard let path = getenv("LIFEBOAT_TEST_TIMES") else { return }
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard file >= 0 else { return }
    var line = line
    line.withUTF8 { _ = write(file, $0.baseAddress, $0.count) }
    close(file)
  }
}

extension Trait where Self == Timed {
  /// This test's own time can be among the slowest that `scripts/test` prints.
  static var timed: Self { Timed() }
}
