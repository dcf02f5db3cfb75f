package import BackupTypes

/// What `lifeboat status` shows: the shipper's state as one JSON document.
package struct StatusDocument: Codable, Sendable, Equatable {
  package var version: String
  package var state: String
  package var reason: String?
  package var source: String
  package var data: String
  package var repository: String
  package var timeline: TimelineNumber?
  package var lagSeconds: Double
  package var logLagSeconds: Double
  package var generationLagSeconds: Double
  package var unshippedBytes: UInt64
  package var pinnedBytes: UInt64
  package var recoverableFrom: String?
  package var recoverableTo: String?
  package var storeAwaySince: String?
  package var isSuspect: Bool
  package var pins: Int
  package var syncAsked: UInt64
  package var syncDone: UInt64

  package init(
    _ status: ShipStatus.Value, options: Shipper.Options, repository: String, version: String,
    now: Instant
  ) {
    func age(_ since: Instant?) -> Double {
      Double(since.map { max(0, now.since($0)) } ?? 0) / 1000
    }
    self.version = version
    state = status.state.rawValue
    reason = status.reason
    source = options.source
    data = "\(options.data)"
    self.repository = repository
    timeline = status.timeline
    lagSeconds = age(status.since)
    logLagSeconds = age(status.logSince)
    generationLagSeconds = age(status.generationSince)
    unshippedBytes = status.unshippedBytes
    pinnedBytes = status.pinnedBytes
    recoverableFrom = status.recoverableFrom?.description
    recoverableTo = status.recoverableTo?.description
    storeAwaySince = status.outage?.description
    isSuspect = status.isSuspect
    pins = status.pins
    syncAsked = status.syncAsked
    syncDone = status.syncDone
  }

  /// For people.
  package var text: String {
    var lines = ["state         \(state)" + (reason.map { ": \(printable($0))" } ?? "")]
    lines.append("source        \(printable(source))")
    lines.append("data          \(printable(data))")
    lines.append(
      "repository    \(printable(repository))" + (timeline.map { ", timeline \($0)" } ?? ""))
    lines.append(
      "lag           \(humanDuration(milliseconds: Int64(lagSeconds * 1000)))"
        + (unshippedBytes > 0 ? ", \(humanBytes(unshippedBytes)) on disk are not durable" : ""))
    if let recoverableTo {
      lines.append(
        "recoverable   \(recoverableFrom.map { "from \($0) " } ?? "")to \(recoverableTo)")
    } else {
      lines.append("recoverable   nothing yet")
    }
    if let storeAwaySince { lines.append("store         does not answer since \(storeAwaySince)") }
    if isSuspect || pins > 0 {
      lines.append("pins          \(pins), see `lifeboat list`")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
