import BackupTypes
import CCurl
import SystemIO

/// What a link that can't be made, or that broke, means to an operator. The codes: libcurl-errors(3).
struct LinkFailure {
  let address: LinkAddress
  /// nil without TLS, and after the handshake.
  let tls: LinkTLS?
  let code: ccurl_code
  /// libcurl's words; empty when it has none.
  let detail: String
  /// The errno of connect(2); 0 when it did not fail.
  let connectError: Int32
  /// The time limit for connecting.
  let limitMilliseconds: Int

  var error: LifeboatError {
    switch code {
    case CCURLE_COULDNT_RESOLVE_HOST:
      return failure(
        "can't resolve the host of the Redis server \(address)",
        hint: "check the host name, and the DNS of this machine or pod")
    case CCURLE_COULDNT_CONNECT:
      return failure(
        "can't connect to the Redis server \(address)",
        cause: connectError == 0 ? nil : systemWords(of: connectError),
        hint: "check that it is up and the port is right, that `bind` in its configuration allows"
          + " connections from other machines, and that no firewall or network policy blocks it"
      )
    case CCURLE_OPERATION_TIMEDOUT:
      return timedOut
    case CCURLE_PEER_FAILED_VERIFICATION:
      return untrusted
    case CCURLE_SSL_CACERT_BADFILE:
      return failure(
        "can't use the CA certificates \(printable(tls?.trust.file ?? ""))", retry: false,
        hint: "the file named by \(tls?.trust.origin ?? "the option") must hold certificates in PEM"
      )
    case CCURLE_SSL_CERTPROBLEM:
      return failure(
        "can't use the client certificate \(printable(tls?.certificate ?? "")) or its key",
        retry: false,
        hint: "both must be in PEM and belong together, and the key must not be encrypted")
    case CCURLE_SSL_CONNECT_ERROR:
      if isRefusedByServer { return refusedCertificate }
      return failure(
        "the TLS handshake with the Redis server \(address) failed",
        hint: "if this port does not use TLS, write redis:// for rediss://")
    case CCURLE_SEND_ERROR, CCURLE_RECV_ERROR, CCURLE_GOT_NOTHING:
      return lost
    case CCURLE_URL_MALFORMAT:
      return LifeboatError(
        .usage, "the address of the Redis server \(address) is not valid", cause: words,
        hint: "the form is redis://host:port")
    default:
      return failure("the connection to the Redis server \(address) failed", hint: nil)
    }
  }

  static func lost(_ address: LinkAddress, cause: String) -> LifeboatError {
    LifeboatError(
      .failure, "the connection to the Redis server \(address) broke", cause: cause,
      hint: "if this persists, check the server's log, and the network in between",
      isRetryable: true)
  }

  static func stalled(_ address: LinkAddress, afterMilliseconds: Int64) -> LifeboatError {
    lost(
      address, cause: "it accepted no data for \(humanDuration(milliseconds: afterMilliseconds))")
  }

  private var timedOut: LifeboatError {
    let limit = humanDuration(milliseconds: Int64(limitMilliseconds))
    if detail.hasPrefix("Resolving timed out") {
      return failure(
        "can't resolve the host of the Redis server \(address)", cause: "not within \(limit)",
        hint: "check the DNS of this machine or pod: it does not answer")
    }
    return failure(
      "can't connect to the Redis server \(address)", cause: "not within \(limit): \(words)",
      hint: tls == nil
        ? "check that no firewall or network policy drops the packets"
        : "check that no firewall or network policy drops the packets; if this port does not use"
          + " TLS, write redis:// for rediss://")
  }

  private var untrusted: LifeboatError {
    let hint: String
    if detail.contains("subject name") || detail.contains("does not match") {
      hint = "the certificate is for another name: connect to a name or address that is in it"
    } else if detail.contains("expired") || detail.contains("not yet valid") {
      hint = "renew the server's certificate, or set this machine's clock"
    } else {
      hint =
        "name the file of the CA that issued the server's certificate"
        + " (used now: \(tls?.trust.origin ?? "the system's store"))"
    }
    return failure(
      "the certificate of the Redis server \(address) is not trusted", retry: false, hint: hint)
  }

  private var lost: LifeboatError {
    // In TLS 1.3 the client's handshake is over before the server looks at its certificate.
    isRefusedByServer ? refusedCertificate : LinkFailure.lost(address, cause: words)
  }

  /// The alerts about certificates of RFC 8446, 6.2, as OpenSSL words them.
  private var isRefusedByServer: Bool {
    detail.contains("alert") && (detail.contains("certificate") || detail.contains("unknown ca"))
  }

  private var refusedCertificate: LifeboatError {
    failure(
      "the Redis server \(address) refused the client certificate", retry: false,
      hint: "name a certificate that its CA (`tls-ca-cert-file`) issued, and its key")
  }

  private func failure(
    _ message: String, retry: Bool = true, cause: String? = nil, hint: String?
  ) -> LifeboatError {
    LifeboatError(.failure, message, cause: cause ?? words, hint: hint, isRetryable: retry)
  }

  private var words: String {
    printable(detail.isEmpty ? String(cString: ccurl_message(code)) : detail)
  }
}
