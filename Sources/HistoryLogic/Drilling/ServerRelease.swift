/// Which server, and which release of it.
package struct ServerRelease: Sendable, Equatable, CustomStringConvertible {
  package enum Product: String, Sendable { case redis, valkey }
  package var product: Product
  /// `7.4.1`.
  package var version: String
  /// Major and minor: a line.
  package var line: (major: Int, minor: Int)

  package static func == (one: ServerRelease, other: ServerRelease) -> Bool {
    one.product == other.product && one.version == other.version
  }

  package init?(_ product: Product, _ version: some StringProtocol) {
    let parts = version.split(separator: ".")
    guard parts.count >= 2, let major = Int(parts[0]), let minor = Int(parts[1]) else { return nil }
    self.product = product
    self.version = String(version)
    line = (major, minor)
  }

  /// As a full copy's record has it: `redis 7.4.1`.
  package init?(recorded text: String) {
    let words = text.split(separator: " ")
    guard words.count == 2, let product = Product(rawValue: String(words[0])) else { return nil }
    self.init(product, words[1])
  }

  /// The first line of `--version`: `Redis server v=7.4.1 sha=…`, `Valkey server v=9.1.2 sha=…`.
  package init?(versionLine text: String) {
    let words = text.split { $0 == " " || $0 == "\n" }
    guard words.count >= 3, let product = Product(rawValue: words[0].lowercased()),
      words[1] == "server", words[2].hasPrefix("v=")
    else { return nil }
    self.init(product, words[2].dropFirst(2))
  }

  /// As a person writes it: `redis-7.4`, `valkey-9.1`, or `7.4` if only Redis has such a line.
  package init?(said text: String) {
    let words = text.split(maxSplits: 1, omittingEmptySubsequences: false) {
      $0 == "-" || $0 == " "
    }
    if words.count == 2 {
      guard let product = Product(rawValue: words[0].lowercased()) else { return nil }
      self.init(product, words[1])
    } else {
      self.init(.redis, text)
      guard line < (9, 0), line != (7, 2), line != (8, 0), line != (8, 1) else { return nil }
    }
    guard version.utf8.allSatisfy({ ($0 >= 48 && $0 <= 57) || $0 == 46 }), line >= (1, 0) else {
      return nil
    }
  }

  /// Whether this server is of the release line that wrote `recorded`, or of a newer one. Valkey began as
  /// Redis 7.2 and reads files of that release. Neither reads files of later releases of the other.
  package func canLoad(_ recorded: ServerRelease) -> Bool {
    if product == recorded.product { return line >= recorded.line }
    return product == .valkey && recorded.line <= (7, 2)
  }

  package var description: String { "\(product.rawValue) \(version)" }
}
