import Glibc

/// Files of servers that can't be had here. They lie beside the checkout, or where `LIFEBOAT_FIXTURES` says; tests
/// that read them are left out elsewhere, and say so.
package enum ServerFixtures {
  package static let path =
    getenv("LIFEBOAT_FIXTURES").map { String(cString: $0) } ?? Checkout.root + "/../shared/fixtures"
  package static var exist: Bool { TestFiles.isDirectory(path) }

  /// Each with its folder, which has `data` and `expected.json`.
  package static var all: [(name: String, folder: String)] {
    TestFiles.list(path).sorted().map { ($0, path + "/" + $0) }
      .filter { TestFiles.isDirectory($0.1 + "/data") }
  }
}
