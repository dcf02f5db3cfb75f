import Glibc

/// Files of servers that can't be installed here. They are beside the checkout, or where `LIFEBOAT_FIXTURES`
/// says. Without them, the tests that read them are skipped, and say so.
package enum ServerFixtures {
  package static let path =
    getenv("LIFEBOAT_FIXTURES").map { String(cString: $0) } ?? Checkout.root + "/../shared/fixtures"
  package static var exist: Bool { TestFiles.isDirectory(path) }

  /// Each fixture with its folder, which contains `data` and `expected.json`.
  package static var all: [(name: String, folder: String)] {
    TestFiles.list(path).sorted().map { ($0, path + "/" + $0) }
      .filter { TestFiles.isDirectory($0.1 + "/data") }
  }
}
