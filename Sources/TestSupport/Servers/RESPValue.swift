/// A reply in RESP2.
package enum RESPValue: Hashable, Sendable {
  case simple(String)
  case error(String)
  case integer(Int)
  case bulk([UInt8])
  case null
  case array([RESPValue])

  /// The bytes of a bulk string, or of a simple one.
  package var bytes: [UInt8]? {
    switch self {
    case .bulk(let bytes): bytes
    case .simple(let text): Array(text.utf8)
    default: nil
    }
  }

  package var string: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

  /// An integer, or a bulk string that contains one.
  package var integer: Int? {
    if case .integer(let value) = self { return value }
    return string.flatMap { Int($0) }
  }

  package var array: [RESPValue]? {
    if case .array(let elements) = self { return elements }
    return nil
  }

  package var isNull: Bool { self == .null }
  package var isOK: Bool { self == .simple("OK") }
}

/// An argument of a command: text, bytes or a number.
package protocol RESPArgument: Sendable {
  var respBytes: [UInt8] { get }
}

extension String: RESPArgument {
  package var respBytes: [UInt8] { Array(utf8) }
}

extension Int: RESPArgument {
  package var respBytes: [UInt8] { Array(String(self).utf8) }
}

extension [UInt8]: RESPArgument {
  package var respBytes: [UInt8] { self }
}

package enum RESPError: Error, CustomStringConvertible {
  /// The server replied with an error.
  case reply(String, command: String)
  /// There is no server, or it has stopped.
  case disconnected(String)
  case timeout
  case malformed(String)

  package var description: String {
    switch self {
    case .reply(let message, let command): "\(command): \(message)"
    case .disconnected(let reason): "disconnected: \(reason)"
    case .timeout: "no answer in time"
    case .malformed(let what): "malformed reply: \(what)"
    }
  }
}
