import BackupTypes
import CCurl

/// What a request that got no complete reply means to an operator. The codes: libcurl-errors(3).
struct TransportFailure {
  let request: HTTPRequest
  let limits: HTTPLimits
  let trust: TrustStore
  let outcome: EasyHandle.Outcome
  let transfer: Transfer

  /// Scheme, host and port: the rest of a URL can contain secrets.
  private var endpoint: String { request.endpoint }

  var error: LifeboatError {
    if let abort = transfer.abort { return aborted(abort) }
    switch outcome.code {
    case CCURLE_COULDNT_RESOLVE_HOST:
      return failure(
        "can't resolve the host of \(endpoint)", retry: true,
        hint:
          "check the host name in the endpoint (of Azure: the name of the storage account), and the"
          + " DNS of this machine or pod")
    case CCURLE_COULDNT_RESOLVE_PROXY, CCURLE_PROXY:
      return failure(
        "can't use the proxy for \(endpoint)", retry: true,
        hint: "check HTTPS_PROXY, and NO_PROXY for hosts that need no proxy")
    case CCURLE_COULDNT_CONNECT:
      return failure(
        "can't connect to \(endpoint)", retry: true,
        hint: "check that it is up and the port is right, and that no firewall or network policy"
          + " blocks the connection")
    case CCURLE_OPERATION_TIMEDOUT:
      if detail.hasPrefix("Resolving timed out") {
        return failure(
          "can't resolve the host of \(endpoint)", retry: true,
          hint: "check the DNS of this machine or pod: it does not answer")
      }
      return failure(
        "can't connect to \(endpoint)", retry: true,
        cause: "not within \(humanDuration(milliseconds: limits.connect.milliseconds)): \(detail)",
        hint: "check that no firewall or network policy drops the packets")
    case CCURLE_PEER_FAILED_VERIFICATION:
      return untrusted
    case CCURLE_SSL_CACERT_BADFILE:
      return failure(
        "can't use the CA certificates \(printable(trust.file ?? ""))", retry: false,
        hint: "the file named by \(trust.origin) must hold certificates in PEM")
    case CCURLE_SSL_CONNECT_ERROR:
      return failure(
        "the TLS handshake with \(endpoint) failed", retry: true,
        hint: "if the endpoint does not use TLS, write it with http://")
    case CCURLE_SEND_ERROR, CCURLE_RECV_ERROR, CCURLE_GOT_NOTHING, CCURLE_PARTIAL_FILE,
      CCURLE_HTTP2,
      CCURLE_HTTP2_STREAM, CCURLE_SEND_FAIL_REWIND, CCURLE_BAD_CONTENT_ENCODING:
      return lost
    case CCURLE_WEIRD_SERVER_REPLY:
      return failure(
        "\(endpoint) does not answer in HTTP", retry: true,
        hint: "check the scheme and the port of the endpoint")
    case CCURLE_URL_MALFORMAT, CCURLE_UNSUPPORTED_PROTOCOL:
      return LifeboatError(
        .usage, "the endpoint \(endpoint) is invalid", cause: detail,
        hint: "the form is https://host or https://host:port")
    default:
      return failure("the request to \(endpoint) failed", retry: false, hint: nil)
    }
  }

  private var untrusted: LifeboatError {
    let words = detail
    let hint: String
    if words.contains("subject name") || words.contains("does not match") {
      hint =
        "the certificate is for another name: check the endpoint's host; a bucket with a dot"
        + " in its name needs ?path-style=true"
    } else if words.contains("expired") || words.contains("not yet valid") {
      hint = "renew the server's certificate, or set this machine's clock"
    } else {
      hint =
        "if the server's certificate was issued by your own CA, pass the CA certificate with"
        + " --ca-file (used now: \(trust.origin)); the same applies to a proxy that inspects TLS"
    }
    return failure("the certificate of \(endpoint) is not trusted", retry: false, hint: hint)
  }

  private var lost: LifeboatError {
    if detail.contains("from proxy after CONNECT") {
      return failure(
        "the proxy for \(endpoint) refused the request", retry: true,
        hint: "check HTTPS_PROXY and its user and password, and NO_PROXY")
    }
    return failure(
      "the connection to \(endpoint) broke", retry: true,
      hint:
        "if this persists, check the store's status and log, and proxies and firewalls in between"
    )
  }

  private func aborted(_ abort: Transfer.Abort) -> LifeboatError {
    switch abort {
    case .cancelled:
      return failure("the request to \(endpoint) was cancelled", retry: false, hint: nil)
    case .firstByteTimedOut:
      let limit = humanDuration(milliseconds: limits.firstByte.milliseconds)
      return failure(
        "\(endpoint) does not answer", retry: true, cause: "nothing came within \(limit)",
        hint: "check the store's status and log: it accepts connections but does not respond")
    case .stalled:
      let window = humanDuration(milliseconds: limits.slowAfter.milliseconds)
      return failure(
        "the transfer with \(endpoint) stalled", retry: true,
        cause: "less than \(humanBytes(limits.bytesPerSecondMin)) a second for \(window)",
        hint: "check the network and the store's status")
    case .bodyTooLarge:
      return LifeboatError(
        .corrupt, "the reply of \(endpoint) is too large",
        cause: "more than \(humanBytes(request.responseBytesMax))")
    case .headersTooLarge:
      return LifeboatError(
        .storeUnavailable, "the headers of the reply of \(endpoint) are too large")
    }
  }

  private func failure(
    _ message: String, retry: Bool, cause: String? = nil, hint: String?
  ) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, message, cause: cause ?? detail, hint: hint, isRetryable: retry)
  }

  private var detail: String {
    let words =
      outcome.detail.isEmpty ? String(cString: ccurl_message(outcome.code)) : outcome.detail
    return printable(words)
  }
}

extension HTTPRequest {
  /// `https://host:port`, without user, path and query.
  package var endpoint: String {
    guard let scheme = url.firstRange(of: "://") else { return printable(url) }
    let authority = url[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    let host = authority.split(separator: "@").last ?? ""
    return printable(String(url[..<scheme.upperBound]) + host)
  }
}
