import Auditing
package import BackupTypes
import HistoryLogic
import ObjectStorage

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
  /// `unreachable`, `denied`, `refused`.
  package var storeProblem: String?
  package var isSuspect: Bool
  package var pins: Int
  /// A part of the history that can't be restored any more, since its log is missing.
  package struct Loss: Codable, Sendable, Equatable {
    /// Writes between these times can't be restored.
    package var since: String
    package var until: String
    /// The prefix of the names of the missing objects.
    package var object: String
  }
  /// At most eight losses. Nil in the document of an earlier release, which does not have them.
  package var losses: [Loss]?
  /// Timelines whose claims can't be read, at most eight. Nil in the document of an earlier release.
  package var unreadableClaims: [TimelineNumber]?
  package var syncAsked: UInt64
  package var syncDone: UInt64
  /// Whether a restore would give what is on disk, within the limits of the alerts.
  package var isWell: Bool
  /// When a look last found everything on disk durable.
  package var provedAt: String?
  /// When it was last checked whether the repository still has everything.
  package var repositoryLookedAt: String?
  /// Whether the data directory holds anything that a server would load; absent before the first look.
  package var holdsData: Bool?
  /// Whether the repository is checked while Redis is idle.
  package var isProbed: Bool

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
    data = options.place
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
    storeProblem = status.outage == nil ? nil : status.outageProblem?.rawValue
    isSuspect = status.isSuspect
    pins = status.pins
    losses = status.losses.prefix(8).map {
      Loss(since: $0.since.description, until: $0.until.description, object: $0.object)
    }
    unreadableClaims = Array(status.unreadableClaims.prefix(8))
    syncAsked = status.syncAsked
    syncDone = status.syncDone
    isWell = status.isHealthy(at: now)
    provedAt = status.audit?.coveredAt?.description
    repositoryLookedAt = status.audit?.repositoryLookedAt?.description
    holdsData = status.audit?.holdsData
    isProbed = options.audit.probeInterval != nil
  }

  /// What is wrong with the store; nil if nothing is.
  package var storeWords: String? {
    storeAwaySince.map { since in
      (storeProblem.flatMap { StoreOutage.Problem(rawValue: $0) } ?? .unreachable).words(
        since: printable(since))
    }
  }

  /// For people: one line that says whether everything is healthy, then details.
  package var text: String {
    var lines = [summary]
    func add(_ label: String, _ text: String) {
      lines.append(label + String(repeating: " ", count: max(1, 14 - label.count)) + text)
    }
    add("state", state + (reason.map { ": \(printable($0, limit: 1000))" } ?? ""))
    add("source", printable(source))
    add("data", printable(data))
    add("repository", printable(repository) + (timeline.map { ", timeline \($0)" } ?? ""))
    add(
      "lag",
      (isLagKnown ? humanDuration(milliseconds: Int64(lagSeconds * 1000)) : "unknown")
        + (unshippedBytes > 0
          ? ", \(humanBytes(unshippedBytes)) are not backed up yet" : ""))
    if let recoverableTo {
      add("recoverable", "\(recoverableFrom.map { "from \($0) " } ?? "")to \(recoverableTo)")
    } else {
      add("recoverable", "nothing yet")
    }
    add("confirmed", provedAt.map { "\(everything) was backed up at \($0)" } ?? "not yet")
    if let storeWords { add("store", storeWords) }
    if !isProbed {
      add(
        "probe",
        "off: the repository is not checked while Redis is idle"
          + (repositoryLookedAt.map { " (last: \($0))" } ?? ""))
    }
    if isSuspect {
      add(
        "SUSPECT",
        "the newest state may be the result of an accident: see `lifeboat list`, then `lifeboat unpin`; "
          + "after that, this line stays until a minute after the next write to Redis"
      )
    }
    for loss in losses ?? [] {
      add(
        "LOST",
        "writes from \(loss.since) to \(loss.until) can't be restored: the log "
          + "\(printable(loss.object))... is missing; `lifeboat list` shows the restore points before "
          + "and after it")
    }
    for number in unreadableClaims ?? [] {
      add(
        "UNREADABLE",
        "the claim of timeline \(number) can't be read: nothing in it can be restored until that "
          + "object is recovered; if it never was a claim, delete it")
    }
    if pins > 0 { add("pins", "\(pins), see `lifeboat list`") }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Before the first look, in standby, and if the disk or the store does not answer, the lag is unknown.
  /// That is not the same as 0.
  package var isLagKnown: Bool { lagSeconds > 0 || state == "following" || state == "active" }

  /// What is backed up if all is: depends on whether the source is a directory or a server.
  package var everything: String { Shipper.Options.everything(in: data) }

  private var summary: String {
    let lag = humanDuration(milliseconds: Int64(lagSeconds * 1000))
    if isWell, unshippedBytes > 0 || lagSeconds >= 1 {
      return "OK: shipping; everything but the last \(lag) is backed up"
    }
    if isWell { return "OK: \(everything) is backed up" }
    if state == "starting" {
      return "STARTING: comparing the data directory with the repository"
    }
    if state == "standby" { return "STANDBY: this sidecar ships nothing" }
    if state == "blocked" { return "NOT OK: \(printable(reason ?? "blocked", limit: 1000))" }
    if let storeWords { return "NOT OK: the store \(storeWords)" }
    if isSuspect { return "NOT OK: the newest state may be the result of an accident" }
    if !(unreadableClaims ?? []).isEmpty {
      return "NOT OK: a claim can't be read, see below"
    }
    if recoverableTo == nil { return "NOT YET: there is no restore point" }
    return "NOT OK: new data has not been backed up for \(lag)"
  }
}
