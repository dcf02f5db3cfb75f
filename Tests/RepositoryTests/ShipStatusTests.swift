import Auditing
import BackupTypes
import RepositoryAccess
import Shipping
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// The status that the sidecar shows.
@Suite struct ShipStatusTests {
  /// A scrape and two probes a minute are about 60,000 requests in two weeks.
  @Test func `it can be asked for ever`() throws {
    let folder = try TemporaryDirectory("status")
    let status = ShipStatus(time: SystemClock())
    status.audit(
      by: Auditor(
        path: FilePath(folder.path), names: ServerNames(),
        acknowledged: Acknowledgements(time: SystemClock()),
        options: .init()))
    var states: Set<String> = []
    for _ in 0..<100_000 { states.insert(status.current.state.rawValue) }
    #expect(states.count == 1)
  }
}
