package import BackupTypes

/// Where pages are served: `:9847` (every address), `127.0.0.1:9848`, `[::1]:9848`, `localhost:9848`.
package struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
  /// nil: every address of this machine.
  package var host: String?
  package var port: Int

  /// - Throws: `.usage`.
  package init(_ text: String) throws(LifeboatError) {
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
      (0...65535).contains(port)
    else { throw ListenAddress.wrong(text) }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
    } else if host.contains(":") {
      throw ListenAddress.wrong(text)
    }
    guard host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), host != "*" else {
      throw ListenAddress.wrong(text)
    }
    self.host = host.isEmpty ? nil : host
    self.port = port
  }

  package var description: String {
    guard let host else { return ":\(port)" }
    return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  /// Only this machine, or pod, reaches it.
  package var isLoopback: Bool {
    guard let host else { return false }
    return host == "localhost" || host == "::1" || host.hasPrefix("127.")
  }

  /// Whether to answer a client that calls the server by `name` (`Host`). A foreign web page can make a
  /// browser resolve the page's own name to this address, and then read what is served there. So only names
  /// that no foreign page can have are answered: numeric addresses, the names of loopback, the host in this
  /// address, and, on an address that others can reach, the names that an operator gave.
  package func accepts(host name: String?, told: [String] = []) -> Bool {
    guard let name else { return true }
    var bare = Substring(name.lowercased())
    if bare.hasPrefix("[") {
      let inside = bare.prefix { $0 != "]" }.dropFirst()
      let port = bare.drop { $0 != "]" }.dropFirst()
      return inside.allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
        && (port.isEmpty || port.first == ":" && port.dropFirst().allSatisfy(\.isNumber))
    }
    if let colon = bare.lastIndex(of: ":") { bare = bare[..<colon] }
    if bare == "localhost" || bare.hasSuffix(".localhost")
      || bare.allSatisfy({ $0.isASCII && $0.isNumber || $0 == "." })
    {
      return true
    }
    guard !isLoopback else { return false }
    return (told + [host].compactMap { $0 }).contains { $0.lowercased() == bare }
  }

  private static func wrong(_ text: String) -> LifeboatError {
    LifeboatError(
      .usage, "\"\(printable(text))\" is not a valid address to listen on",
      hint: "examples: :9847, 127.0.0.1:9848, [::1]:9848")
  }
}
