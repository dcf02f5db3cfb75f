package import BackupTypes
import HTTPTransport
import RedisFormats
import SystemIO
import WriterLogic

/// The server that is replicated, and how we present ourselves to it.
package struct LinkServer: Sendable {
  package let url: LinkURL
  private let dialer: LinkDialer
  /// The port of our responder; nil: none is announced.
  private let port: Int?

  /// - Parameter port: the port on which we answer as a replica that must never be promoted.
  package init(_ url: LinkURL, _ dialer: LinkDialer, port: Int?) {
    self.url = url
    self.dialer = dialer
    self.port = port
  }

  func connect() throws(LifeboatError) -> RedisSession { try dialer.open() }

  /// Makes the connection that of a replica.
  func handshake(_ session: RedisSession, _ info: ReplicationInfo, time: any TimeSource)
    throws(LifeboatError) -> LinkWire
  {
    if let port { _ = try session.command("REPLCONF", "listening-port", String(port)) }
    // No other capability may be announced. Otherwise the copy could come over a separate connection.
    _ = try session.require("REPLCONF", "capa", "eof", "capa", "psync2")
    // If a Valkey gets no version, it writes an older form of RDB, and fails if the data can't be written in
    // that form.
    if info.product == .valkey { _ = try session.command("REPLCONF", "version", "255.255.255") }
    let (connection, received) = session.handOver()
    return LinkWire(
      connection, received: received, hasFACK: info.hasFACK, time: time)
  }
}

extension LinkURL {
  /// A name of the server that does not depend on the user or on TLS. Without a slash.
  var placeName: String {
    switch place {
    case .server(let address): "\(address)"
    case .sentinels(_, let master): "sentinel:\(master)"
    }
  }
}

extension ReplicationInfo {
  /// WAITAOF came with Redis 7.2. An older server does not know FACK.
  var hasFACK: Bool {
    guard let version else { return false }
    let parts = version.split(separator: ".").prefix(2).compactMap { Int($0) }
    return parts.count == 2 && (parts[0], parts[1]) >= (7, 2)
  }

  /// The position in its history of a server whose stream can be kept; others are an error.
  ///
  /// - Parameter place: how the error names it.
  func position(at place: String) throws(LifeboatError) -> (id: String, offset: UInt64) {
    guard let historyID, let offset, !isSentinel else {
      throw LifeboatError(
        .failure, "\(place) does not report its replication history",
        cause: isSentinel ? "it is a Sentinel" : "its INFO has no master_replid",
        hint: isSentinel
          ? "write redis-sentinel://host:port/MASTER" : ReplicationInfo.supported,
        isRetryable: true)
    }
    // An older one sends SETEX and scripts as they are, with expiries that can't be made absolute.
    let parts = version.map { $0.split(separator: ".").prefix(2).compactMap { Int($0) } } ?? []
    guard product == .valkey || parts.count < 2 || (parts[0], parts[1]) >= (6, 2) else {
      throw LifeboatError(
        .failure,
        "\(place) is Redis \(printable(version ?? "")), which is too old to be replicated",
        hint: ReplicationInfo.supported, isRetryable: true)
    }
    return (historyID, offset)
  }
  private static let supported = "Redis 6.2 and newer and Valkey are supported"

  /// The facts about a server that decide which history to request.
  func primary(of url: LinkURL) throws(LifeboatError) -> Resync.Primary {
    let position = try position(at: "\(url)")
    var former: (id: String, second: UInt64)?
    if let formerHistoryID, let formerHistoryEnd { former = (formerHistoryID, formerHistoryEnd) }
    return Resync.Primary(
      id: position.id, offset: position.offset, former: former, isLoading: isLoading,
      isCutOff: upstream.map { !$0.isUp } ?? false)
  }
}
