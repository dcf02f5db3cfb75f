/// What may be sent over plain http, which is not encrypted. Pure.
package enum PlainHTTP {
  /// The host of a plain http URL in lower case, an IPv6 address with its brackets; nil for other
  /// URLs, and for those whose user part could make the host look like another one.
  static func host(_ url: String) -> String? {
    let scheme = "http://"
    guard url.lowercased().hasPrefix(scheme) else { return nil }
    let authority = url.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    guard !authority.contains("@"), !authority.contains("\\") else { return nil }
    let isBracketed = authority.hasPrefix("[")
    return String(
      isBracketed ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
    ).lowercased()
  }

  static func isLoopback(host: String) -> Bool {
    if host == "localhost" || host == "[::1]" { return true }
    let numbers = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
    return numbers.count == 4 && numbers[0] == 127 && numbers.allSatisfy { $0 != nil }
  }

  /// Whether a secret may be sent to `url`: over https, or to this machine.
  package static func maySendSecret(to url: String) -> Bool {
    url.lowercased().hasPrefix("https://") || host(url).map { isLoopback(host: $0) } == true
  }
}
