package import BackupTypes
package import HTTPTransport
import RedisFormats

/// Opens sessions with the server of a URL. If the URL names Sentinels, asks them for the server.
package struct LinkDialer: Sendable {
  private let url: LinkURL
  private let tls: LinkTLS?
  private let credentials: LinkCredentials?
  private let limits: LinkLimits
  /// Short limits, so that a Sentinel that is down does not delay the others.
  private static let sentinelLimits = LinkLimits(connect: 2000, reply: 2000)

  /// - Parameters:
  ///   - tls: used if the URL says so.
  ///   - password: nil if the server needs none.
  package init(url: LinkURL, tls: LinkTLS, password: Redacted?, limits: LinkLimits) {
    self.url = url
    self.tls = url.isTLS ? tls : nil
    credentials = password.map { LinkCredentials(user: url.user, password: $0) }
    self.limits = limits
  }

  /// - Parameter address: the server, if the caller knows it. Nil for the one of the URL, or for the one that
  ///   the Sentinels name, which must itself say that it is a primary.
  package func open(_ address: LinkAddress? = nil) throws(LifeboatError) -> RedisSession {
    if let address { return try session(address) }
    switch url.place {
    case .server(let address): return try session(address)
    case .sentinels(let addresses, let master): return try primary(of: master, by: addresses)
    }
  }

  private func session(_ address: LinkAddress) throws(LifeboatError) -> RedisSession {
    try RedisSession(with: address, tls: tls, credentials: credentials, limits: limits)
  }

  // MARK: Sentinels

  private func primary(
    of master: String, by addresses: [LinkAddress]
  ) throws(LifeboatError) -> RedisSession {
    var failures: [LifeboatError] = []
    for sentinel in addresses {
      do throws(LifeboatError) {
        return try verifiedPrimary(of: master, by: sentinel)
      } catch {
        failures.append(error)
      }
    }
    throw LifeboatError(
      .failure, "no Sentinel gives a usable primary for \(master)",
      cause: failures.map(\.inOneLine).joined(separator: "; "),
      hint: failures.compactMap(\.hint).first, isRetryable: failures.contains(where: \.isRetryable))
  }

  /// A Sentinel may have old information, so the server that it names must itself say that it is a primary.
  private func verifiedPrimary(
    of master: String, by sentinel: LinkAddress
  ) throws(LifeboatError) -> RedisSession {
    let address = try named(master, by: sentinel)
    let session = try session(address)
    guard try session.info().role == .primary else {
      session.close()
      throw LifeboatError(
        .failure, "the Sentinel \(sentinel) names \(address), which is not a primary",
        hint: "a failover may be in progress; Lifeboat retries", isRetryable: true)
    }
    return session
  }

  private func named(
    _ master: String, by sentinel: LinkAddress
  ) throws(LifeboatError) -> LinkAddress {
    var session = try RedisSession(
      with: sentinel, tls: tls, credentials: nil, limits: LinkDialer.sentinelLimits)
    defer { session.close() }
    let question = ["SENTINEL", "get-master-addr-by-name", master]
    var reply = try session.command(question.map { Array($0.utf8) })
    if case .error(let words) = reply, words.hasPrefix("NOAUTH"), let credentials {
      // A Sentinel has the primary's password anyway (`sentinel auth-pass`), so it learns nothing new from
      // this.
      session.close()
      session = try authenticated(sentinel, credentials)
      reply = try session.command(question.map { Array($0.utf8) })
    }
    if case .error(let words) = reply { throw session.refusal(words, of: "SENTINEL") }
    guard let found = LinkDialer.address(in: reply) else {
      throw LifeboatError(
        .failure, "the Sentinel \(sentinel) does not know \(master)",
        hint: "check the name after the slash of the URL; it is the name in `sentinel monitor`",
        isRetryable: reply != .null)
    }
    return found
  }

  private func authenticated(
    _ sentinel: LinkAddress, _ credentials: LinkCredentials
  ) throws(LifeboatError) -> RedisSession {
    do throws(LifeboatError) {
      return try RedisSession(
        with: sentinel, tls: tls, credentials: credentials, limits: LinkDialer.sentinelLimits)
    } catch {
      guard !error.isRetryable else { throw error }
      throw LifeboatError(
        .failure, "the Sentinel \(sentinel) rejects the user and the password of the server",
        cause: error.cause,
        hint: "a Sentinel with a password gets the same user and password as the server; create the"
          + " user there, too: ACL SETUSER <user> on '>password' \(LinkCredentials.sentinelRules)")
    }
  }

  /// Parses the reply to `SENTINEL get-master-addr-by-name`: two strings.
  static func address(in reply: RESPReply) -> LinkAddress? {
    guard let parts = reply.elements, parts.count == 2, let host = parts[0].text,
      let port = parts[1].text.flatMap({ Int($0) })
    else { return nil }
    return LinkAddress(host: host, port: port)
  }
}
