import BackupTypes
import HTTPTransport
import Logging
import RepositoryAccess
import Shipping
import SystemIO

/// Tells a monitoring service that the backups are healthy. If they are not, or if this process is gone,
/// the service raises an alert.
///
/// The URL works like a password there, so only its host is ever logged.
struct Heartbeat: Sendable {
  /// Milliseconds between two beats. A service should wait for several.
  private static let interval: Int64 = 60_000
  /// How often to check until the status is healthy again.
  private static let pause: Int64 = 5_000

  private let url: String
  private let host: String
  private let client: HTTPClient
  private let status: ShipStatus
  private let logger: Logger

  init(_ url: String, _ transport: TransportOptions, status: ShipStatus, logger: Logger) throws {
    guard let scheme = ["https://", "http://"].first(where: { url.hasPrefix($0) }),
      let authority = url.dropFirst(scheme.count).split(
        separator: "/", omittingEmptySubsequences: false
      ).first, !authority.isEmpty, url.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
    else {
      throw LifeboatError(
        .usage, "--heartbeat-url is not a URL that begins with https:// or http://",
        hint: "copy the ping URL of the check, without quotes or spaces")
    }
    self.url = url
    // Without user name and password.
    host = printable(String(authority.split(separator: "@").last ?? ""))
    client = try HTTPClient(
      connectionsMax: 1, limits: HTTPLimits(firstByte: .seconds(10)),
      trust: .resolve(
        caFile: transport.caFile, environment: EnvironmentFlags.processEnvironment()),
      userAgent: "lifeboat/\(Lifeboat.version)")
    self.status = status
    self.logger = logger
  }

  /// Beats until its task is cancelled.
  func run() async {
    var isFailing = false
    while !Task.isCancelled {
      let isHealthy = status.current.isHealthy(at: SystemClock.now())
      if isHealthy {
        let failure = await beat()
        if Task.isCancelled { return }
        if let failure, !isFailing {
          logger.warning(
            "the heartbeat request failed; retrying every minute",
            metadata: ["host": "\(host)", "cause": "\(failure)"])
        } else if failure == nil, isFailing {
          logger.notice("the heartbeat request succeeds again", metadata: ["host": "\(host)"])
        }
        isFailing = failure != nil
      }
      try? await Task.sleep(for: .milliseconds(isHealthy ? Heartbeat.interval : Heartbeat.pause))
    }
  }

  /// Why the beat did not arrive, in a text without the URL; nil if it did.
  private func beat() async -> String? {
    do {
      let reply = try await client.send(HTTPRequest(.get, url, responseBytesMax: 64 << 10))
      return (200..<300).contains(reply.status)
        ? nil : "the server answered with status \(reply.status)"
    } catch {
      let code = (error as? LifeboatError)?.code
      return code == .storeUnavailable
        ? "the server can't be reached" : "the request could not be sent"
    }
  }
}
