import TestSupport
import Testing

/// `Regressions/<target>-<words>`: inputs from `scripts/fuzz` for which a target trapped, hung or broke a
/// rule, and its initial inputs for targets without a server's file.
struct RegressionTests {
  private static let folder = Checkout.root + "/Tests/FuzzTests/Regressions"

  @Test(arguments: FuzzTarget.allCases)
  func `what fuzzing found stays repaired`(_ target: FuzzTarget) throws {
    let all = TestFiles.list(RegressionTests.folder)
    #expect(!all.isEmpty)
    for name in all where name.hasPrefix(target.rawValue + "-") {
      let input = try TestFiles.read(RegressionTests.folder + "/" + name)
      #expect(throws: Never.self, "\(name)") { try target.run(input) }
    }
  }
}
