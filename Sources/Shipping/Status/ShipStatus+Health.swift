import Auditing
package import BackupTypes

extension ShipStatus.Value {
  /// The limit of the alerts (deploy/monitoring): a longer lag needs a person.
  package static let logLagMax: Int64 = 120_000
  /// A dump that waits for its interval has a lag, and may have it for that long.
  package static let generationLagMax: Int64 = 3_600_000

  /// Whether a loss of the volume now would lose no more than the limits allow, and a restore would not ask
  /// for a choice (exit 9). The heartbeat reports this. An idle Redis is healthy as long as the store
  /// answers.
  package func isHealthy(at now: Instant) -> Bool {
    func age(_ since: Instant?) -> Int64 { since.map { now.since($0) } ?? 0 }
    // Before the first restore point nothing is healthy.
    let hasPoint = audit.map { $0.verdict != .nothing && recoverableTo != nil } ?? true
    return (state == .following || state == .active) && outage == nil && !isSuspect && hasPoint
      && unreadableClaims.isEmpty
      && age(logSince) <= Self.logLagMax
      && age(generationSince) <= Self.generationLagMax + dumpInterval
  }
}
