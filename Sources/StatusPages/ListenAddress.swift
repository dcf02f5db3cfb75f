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

  private static func wrong(_ text: String) -> LifeboatError {
    LifeboatError(
      .usage, "\"\(printable(text))\" is not an address to listen on",
      hint: "it is written like :9847, 127.0.0.1:9848 or [::1]:9848")
  }
}
