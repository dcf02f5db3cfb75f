/// The server of which Lifeboat becomes a replica:
///
///     redis://[user@]host[:6379]
///     rediss://[user@]host[:6379]                                 with TLS
///     redis-sentinel://[user@]host[:26379][,host[:26379]…]/MASTER  the primary that Sentinels name
///     rediss-sentinel://…                                         with TLS, to Sentinels and primary
///
/// It has no password, because URLs are visible in process lists, manifests and logs.
package struct LinkURL: Sendable, Hashable, CustomStringConvertible {
  package enum Place: Sendable, Hashable {
    case server(LinkAddress)
    /// At least one Sentinel, and the name under which they know the primary.
    case sentinels([LinkAddress], master: String)
  }

  package static let serverPort = 6379
  package static let sentinelPort = 26379
  /// A group has three or five Sentinels. They are asked one after another.
  package static let sentinelsMax = 16
  static let bytesMax = 4096

  package let place: Place
  /// The ACL user at the server; nil is the default user.
  package let user: String?
  package let isTLS: Bool

  /// - Throws: `.usage`. The error shows nothing that could be a secret.
  package init(_ text: String) throws(LifeboatError) {
    guard let mark = text.firstRange(of: "://"), text.utf8.count <= LinkURL.bytesMax else {
      throw LinkURL.wrong(
        "it does not begin with redis://, rediss://, redis-sentinel:// or rediss-sentinel://")
    }
    let scheme = Scheme(rawValue: text[..<mark.lowerBound].lowercased())
    guard let scheme else { throw LinkURL.wrong("its scheme is unknown") }
    var rest = text[mark.upperBound...]
    // The last "@", since a password may contain others, but a host can't.
    if let at = rest.lastIndex(of: "@") {
      user = try LinkURL.user(rest[..<at])
      rest = rest[rest.index(after: at)...]
    } else {
      user = nil
    }
    guard !rest.contains(where: { $0 == "?" || $0 == "#" }) else {
      throw LinkURL.wrong("it contains ? or #, and takes no parameters")
    }
    let slash = rest.firstIndex(of: "/")
    let authority = rest[..<(slash ?? rest.endIndex)]
    let path = slash.map { rest[rest.index(after: $0)...] } ?? ""
    isTLS = scheme.isTLS
    place =
      try scheme.isSentinel
      ? LinkURL.sentinels(authority, master: path) : LinkURL.server(authority, path: path)
  }

  package var description: String {
    let name = user.map { LinkURL.encoded($0) + "@" } ?? ""
    let scheme = isTLS ? "rediss" : "redis"
    switch place {
    case .server(let address):
      return "\(scheme)://\(name)\(address)"
    case .sentinels(let addresses, let master):
      let list = addresses.map(\.description).joined(separator: ",")
      return "\(scheme)-sentinel://\(name)\(list)/\(master)"
    }
  }

  // MARK: Parts

  private enum Scheme: String {
    case redis, rediss
    case sentinel = "redis-sentinel"
    case sentinelWithTLS = "rediss-sentinel"
    var isTLS: Bool { self == .rediss || self == .sentinelWithTLS }
    var isSentinel: Bool { self == .sentinel || self == .sentinelWithTLS }
  }

  private static func user(_ text: Substring) throws(LifeboatError) -> String? {
    guard !text.contains(":") else {
      throw LifeboatError(
        .usage, "the URL of the server contains a password",
        cause: "others can see it in process lists, manifests and logs",
        hint: "put the password in a file for --redis-password-file, or in"
          + " LIFEBOAT_REDIS_PASSWORD; if others could see this URL, change the password")
    }
    guard let name = decoded(text), !name.isEmpty else {
      throw wrong("the part before @ is not a user name")
    }
    return name
  }

  private static func server(
    _ authority: Substring, path: Substring
  ) throws(LifeboatError) -> Place {
    guard path.isEmpty else {
      throw wrong("it has a path after the host; a link always has all databases")
    }
    guard !authority.contains(",") else {
      throw wrong("it names several servers, which is only allowed with redis-sentinel://")
    }
    return .server(try address(authority, port: serverPort))
  }

  private static func sentinels(
    _ authority: Substring, master: Substring
  ) throws(LifeboatError) -> Place {
    let parts = authority.split(separator: ",", omittingEmptySubsequences: false)
    guard parts.count <= sentinelsMax else {
      throw wrong("it names more than \(sentinelsMax) Sentinels")
    }
    var addresses: [LinkAddress] = []
    for part in parts { addresses.append(try address(part, port: sentinelPort)) }
    // The names that `sentinel monitor` accepts.
    let isName = master.allSatisfy {
      $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-" || $0 == "_")
    }
    guard isName, !master.isEmpty else {
      throw wrong("a slash and the name of the primary must follow the Sentinels: /mymaster")
    }
    return .sentinels(addresses, master: String(master))
  }

  private static func address(
    _ text: Substring, port standard: Int
  ) throws(LifeboatError) -> LinkAddress {
    var host = text
    var digits: Substring?
    if text.first == "[" {
      guard let end = text.firstIndex(of: "]") else { throw wrong("a bracket is not closed") }
      host = text[text.index(after: text.startIndex)..<end]
      let after = text[text.index(after: end)...]
      guard after.isEmpty || after.first == ":", host.contains(":") else {
        throw wrong("brackets may only contain an IPv6 address, and only a port may follow them")
      }
      digits = after.isEmpty ? nil : after.dropFirst()
    } else if let colon = text.firstIndex(of: ":") {
      host = text[..<colon]
      digits = text[text.index(after: colon)...]
      guard digits?.contains(":") == false else {
        throw wrong("a host has several colons; put an IPv6 address in brackets")
      }
    }
    let isNumber = digits?.allSatisfy { $0.isASCII && $0.isNumber } ?? true
    guard isNumber, let port = digits.map({ Int($0) }) ?? standard, (1...65535).contains(port)
    else { throw wrong("a port is not a number from 1 to 65535") }
    guard let address = LinkAddress(host: String(host), port: port) else {
      throw wrong(host.isEmpty ? "a host is missing" : "a host contains invalid characters")
    }
    return address
  }

  /// Never shows the text, because an unreadable part of it may belong to a password.
  private static func wrong(_ reason: String) -> LifeboatError {
    LifeboatError(
      .usage, "the URL of the server is not valid", cause: reason,
      hint: "examples: redis://db.example:6379, rediss://backup@db.example, redis://[::1]:6379,"
        + " redis-sentinel://s1.example,s2.example:26379/mymaster")
  }

  // MARK: RFC 3986, 2.1

  private static func decoded(_ text: Substring) -> String? {
    var decoded: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        decoded.append(byte)
        continue
      }
      guard let value = bytes(hexadecimal: String(rest.prefix(2))?.lowercased() ?? "")?.first
      else { return nil }
      decoded.append(value)
      rest = rest.dropFirst(2)
    }
    // The name of an ACL user has no spaces and no NUL. Other control characters would be shown to people.
    guard decoded.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else { return nil }
    return String(validating: decoded, as: UTF8.self)
  }

  private static func encoded(_ text: String) -> String {
    var result = ""
    for byte in text.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e:
        result.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        result += "%" + hexadecimal([byte]).uppercased()
      }
    }
    return result
  }
}
