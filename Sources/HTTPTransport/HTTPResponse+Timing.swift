package import BackupTypes

extension HTTPResponse {
  /// The server's clock when it answered; nil if the reply has no `Date`.
  package var date: Instant? { headers["Date"].flatMap { Instant(httpDate: $0) } }

  /// Seconds that the server asks to wait (RFC 9110, 10.2.3), at least 0; the caller limits it.
  package var retryAfter: Int? {
    guard let text = headers["Retry-After"] else { return nil }
    if let seconds = Int(text.filter { $0 != " " }) { return max(0, seconds) }
    guard let until = Instant(httpDate: text), let date else { return nil }
    return Int(clamping: max(0, until.since(date) / 1000))
  }
}
