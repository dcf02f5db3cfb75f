package import BackupTypes
import FoundationEssentials
import HistoryLogic
package import ObjectStorage
import ReportPages
package import Shipping
import SystemIO

/// The pages of a running shipper: metrics and probes for the cluster; status, page and `sync` for users in
/// the pod. They are answered from memory, so no page waits for anything. Only `/` causes requests to the
/// store, in the background.
package struct ShipPages: Sendable {
  package var shipper: Shipper
  package var statistics: StoreStatistics
  package var repository: String
  package var version: String
  package var pictures: PictureKeeper
  package var restore: RestoreCommand

  package init(
    shipper: Shipper, statistics: StoreStatistics, repository: String, version: String,
    pictures: PictureKeeper, restore: RestoreCommand
  ) {
    self.shipper = shipper
    self.statistics = statistics
    self.repository = repository
    self.version = version
    self.pictures = pictures
    self.restore = restore
  }

  /// `--listen`: `/metrics`, `/livez`, `/startupz`.
  package func open(_ request: PageRequest) -> Page {
    route(
      request,
      [
        "/metrics": { Page(200, contentType: MetricsPage.contentType, body: Array(metrics.utf8)) },
        "/livez": { liveness },
        // This succeeds even if the store is unavailable, since a pod must not wait for a store.
        "/startupz": { .text(200, "ok") },
      ])
  }

  /// `--admin-listen`: the page, what it requests, `/status`, and `/sync` by POST.
  /// - Parameter names: the host names of `--admin-host`.
  package func admin(
    _ request: PageRequest, at address: ListenAddress, names: [String] = []
  ) -> Page {
    guard address.accepts(host: request.host, told: names) else {
      return .text(
        421, "this server does not answer to this host name; ship --admin-host allows one")
    }
    if request.path == "/sync" {
      guard request.method == "POST" else { return .text(405, "use POST to request a sync") }
      guard !request.isOfAnotherSite else {
        return .text(403, "a page of another site can't request a sync")
      }
      return json(202, SyncDocument(sync: shipper.requestSync()))
    }
    return route(
      request,
      [
        "/": { .html(page(pictures.look())) }, "/live": { json(200, live) },
        "/status": { json(200, status) },
      ])
  }

  private func route(_ request: PageRequest, _ pages: [String: () -> Page]) -> Page {
    guard let page = pages[request.path] else {
      return .text(404, "not found; available: " + pages.keys.sorted().joined(separator: " "))
    }
    guard request.method == "GET" || request.method == "HEAD" else {
      return .text(405, "GET and HEAD only")
    }
    return page()
  }

  private var metrics: String {
    MetricsPage(
      status: shipper.status.current, store: statistics.current, version: version,
      now: SystemClock.now()
    ).text
  }

  private var liveness: Page {
    let still = humanDuration(milliseconds: shipper.status.stillness)
    return shipper.status.turns
      ? .text(200, "ok") : .text(503, "the main loop has been stuck for \(still)")
  }

  private var status: StatusDocument {
    StatusDocument(
      shipper.status.current, options: shipper.options, repository: repository, version: version,
      now: SystemClock.now())
  }

  private var live: LiveDocument {
    let picture = pictures.glance()
    return LiveDocument(
      status: status, isLagKnown: status.isLagKnown, readAt: picture.chronicle?.readAt.milliseconds,
      isReading: picture.isReading,
      problem: picture.problem)
  }

  private func page(_ picture: PictureKeeper.Picture) -> [UInt8] {
    let status = status
    return ReportPage(
      chronicle: picture.chronicle, command: restore,
      live: LiveView(
        state: status.state, reason: status.reason, source: status.source,
        lagSeconds: status.lagSeconds, isLagKnown: status.isLagKnown,
        unshippedBytes: status.unshippedBytes,
        recoverableTo: status.recoverableTo, storeAwaySince: status.storeAwaySince,
        storeProblem: status.storeProblem, isSuspect: status.isSuspect,
        isReading: picture.isReading, problem: picture.problem, isAbsent: picture.isAbsent),
      now: SystemClock.now(), version: version
    ).bytes
  }

  private func json(_ status: Int, _ value: some Encodable) -> Page {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let bytes = try? encoder.encode(value) else {
      return .text(500, "the status can't be written as JSON")
    }
    return .json(status, Array(bytes))
  }
}

/// The answer to `/sync`: the number of the sync. It is done when `syncDone` of the status has reached this
/// number.
package struct SyncDocument: Codable, Sendable {
  package var sync: UInt64
  package init(sync: UInt64) { self.sync = sync }
}

/// The document that an open page requests repeatedly.
struct LiveDocument: Encodable {
  var status: StatusDocument
  var isLagKnown: Bool
  /// The time, in Unix milliseconds, of the data that a page would have if it were requested now.
  var readAt: Int64?
  var isReading: Bool
  var problem: String?
}
