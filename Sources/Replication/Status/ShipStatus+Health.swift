import Auditing
package import BackupTypes

extension ShipStatus.Value {
  /// As the alerts have it (deploy/monitoring): what is on disk only for longer needs somebody.
  package static let logLagMax: Int64 = 120_000
  package static let generationLagMax: Int64 = 3_600_000

  /// Whether a loss of the volume now would cost no more than it should, and a restore would not ask: what
  /// a heartbeat says. An idle Redis is healthy as long as the store answers.
  package func isHealthy(at now: Instant) -> Bool {
    func age(_ since: Instant?) -> Int64 { since.map { now.since($0) } ?? 0 }
    // Before the first restore point there is nothing to be well.
    let hasPoint = audit.map { $0.verdict != .nothing && recoverableTo != nil } ?? true
    return (state == .following || state == .active) && outage == nil && !isSuspect && hasPoint
      && age(logSince) <= Self.logLagMax && age(generationSince) <= Self.generationLagMax
  }
}
