import BackupTypes
import RepositoryAccess
import Shipping
import Testing

/// When a heartbeat is sent.
@Suite struct HealthTests {
  private let now = Instant(milliseconds: 10_000_000)
  private func ago(_ milliseconds: Int64) -> Instant { now.advanced(byMilliseconds: -milliseconds) }
  private func healthy() -> ShipStatus.Value {
    var value = ShipStatus.Value()
    value.state = .active
    return value
  }

  @Test func `what is as it should be`() {
    for change: (inout ShipStatus.Value) -> Void in [
      { _ in }, { $0.state = .following }, { $0.logSince = ago(120_000) },
      { $0.generationSince = ago(3_600_000) }, { $0.pins = 3 },
      {
        $0.generationSince = ago(3_600_000 * 7)
        $0.dumpInterval = 3_600_000 * 6
      }, { $0.unshippedBytes = 1 << 30 },
    ] {
      var value = healthy()
      change(&value)
      #expect(value.isHealthy(at: now), "\(value)")
    }
  }

  @Test func `what needs somebody`() {
    for change: (inout ShipStatus.Value) -> Void in [
      { $0.state = .starting }, { $0.state = .standby }, { $0.state = .blocked },
      { $0.outage = now }, { $0.isSuspect = true }, { $0.logSince = ago(120_001) },
      { $0.generationSince = ago(3_600_001) },
      {
        $0.generationSince = ago(3_600_000 * 7 + 1)
        $0.dumpInterval = 3_600_000 * 6
      },
    ] {
      var value = healthy()
      change(&value)
      #expect(!value.isHealthy(at: now), "\(value)")
    }
  }
}
