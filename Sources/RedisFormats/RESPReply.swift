/// A reply of a server in RESP2.
package enum RESPReply: Sendable, Hashable {
  /// `+OK`
  case status(String)
  /// `-NOAUTH Authentication required.`, without the minus.
  case error(String)
  case integer(Int64)
  case bulk([UInt8])
  case null
  case array([RESPReply])

  /// The text of a status or a bulk string.
  package var text: String? {
    switch self {
    case .status(let text): text
    case .bulk(let bytes): String(decoding: bytes, as: UTF8.self)
    default: nil
    }
  }

  package var elements: [RESPReply]? {
    if case .array(let elements) = self { return elements }
    return nil
  }
}

/// Reads replies from bytes that arrive in any portions. Safe for any input, and bounded.
package struct RESPReplyReader: Sendable {
  package enum Fault: Error, Sendable, Equatable {
    /// The reply is longer than the reader accepts.
    case tooLong
    /// The bytes are not a reply. The value says what is wrong.
    case malformed(String)
  }

  /// The reply to ROLE of a primary has three levels, and no other reply that we use has more.
  static let depthMax = 8

  private let bytesMax: Int
  private var bytes: [UInt8] = []
  /// Every reply ends with a line feed. Without one, there is nothing to read.
  private var mayBeWhole = false

  /// - Parameter bytesMax: the maximum size of a reply with all its elements.
  package init(bytesMax: Int) {
    precondition(bytesMax > 0, "replies of \(bytesMax) bytes")
    self.bytesMax = bytesMax
  }

  package mutating func append(_ portion: some Collection<UInt8>) {
    bytes += portion
    if !mayBeWhole { mayBeWhole = portion.contains(10) }
  }

  /// The received bytes that do not belong to a reply, for example those after `+CONTINUE`.
  package mutating func takeRest() -> [UInt8] {
    defer { bytes = [] }
    return bytes
  }

  /// The next reply; nil while it is incomplete. Line feeds before it are skipped, because a primary sends
  /// them before its reply to PSYNC to keep the link alive.
  package mutating func next() throws(Fault) -> RESPReply? {
    guard mayBeWhole else {
      guard bytes.count <= bytesMax else { throw .tooLong }
      return nil
    }
    let start = bytes.firstIndex { $0 != 10 } ?? bytes.count
    if start > 0 { bytes.removeFirst(start) }
    var cursor = Cursor(bytes: bytes[...])
    let reply = try cursor.reply(depth: 0)
    mayBeWhole = reply != nil
    let used = reply == nil ? bytes.count : cursor.position
    guard used <= bytesMax else { throw .tooLong }
    if reply != nil { bytes.removeFirst(used) }
    return reply
  }

  /// Reads one reply. Every attempt starts from its beginning, since replies are small and arrive in few
  /// portions.
  private struct Cursor {
    let bytes: ArraySlice<UInt8>
    var position = 0

    mutating func reply(depth: Int) throws(Fault) -> RESPReply? {
      guard depth < RESPReplyReader.depthMax else { throw .malformed("arrays in arrays") }
      guard let line = try line(), let kind = line.first else { return nil }
      let rest = line.dropFirst()
      switch kind {
      case UInt8(ascii: "+"): return .status(String(decoding: rest, as: UTF8.self))
      case UInt8(ascii: "-"): return .error(String(decoding: rest, as: UTF8.self))
      case UInt8(ascii: ":"): return .integer(try number(rest))
      case UInt8(ascii: "$"):
        let count = try number(rest)
        return count < 0 ? .null : try bulk(count)
      case UInt8(ascii: "*"):
        let count = try number(rest)
        return count < 0 ? .null : try array(count, depth: depth)
      default:
        throw .malformed("a reply that begins with the byte \(kind)")
      }
    }

    private mutating func array(_ count: Int64, depth: Int) throws(Fault) -> RESPReply? {
      // No memory is reserved for an announced count. Elements are added as they arrive.
      var elements: [RESPReply] = []
      for _ in 0..<count {
        guard let element = try reply(depth: depth + 1) else { return nil }
        elements.append(element)
      }
      return .array(elements)
    }

    private mutating func bulk(_ count: Int64) throws(Fault) -> RESPReply? {
      guard count <= 1 << 30 else { throw .tooLong }
      let end = position + Int(count)
      guard end + 2 <= bytes.count else { return nil }
      guard bytes[end] == 13, bytes[end + 1] == 10 else {
        throw .malformed("a string whose length is wrong")
      }
      defer { position = end + 2 }
      return .bulk(Array(bytes[position..<end]))
    }

    /// The next line without its end; nil while it is incomplete.
    private mutating func line() throws(Fault) -> ArraySlice<UInt8>? {
      guard let end = bytes[position...].firstIndex(of: 10) else { return nil }
      defer { position = end + 1 }
      let line = bytes[position..<end]
      guard line.last == 13, line.count > 1 else { throw .malformed("a line without its end") }
      return line.dropLast()
    }

    private func number(_ text: ArraySlice<UInt8>) throws(Fault) -> Int64 {
      guard let number = Int64(String(decoding: text, as: UTF8.self)) else {
        throw .malformed("an invalid number")
      }
      return number
    }
  }
}

/// A command in the form that clients send: an array of bulk strings.
package func encodedCommand(_ arguments: [[UInt8]]) -> [UInt8] {
  var bytes = Array("*\(arguments.count)\r\n".utf8)
  for argument in arguments {
    bytes += "$\(argument.count)\r\n".utf8
    bytes += argument
    bytes += [13, 10]
  }
  return bytes
}

extension RESPReply {
  /// The bytes that a server sends. Line ends inside a status or an error become spaces.
  package var encoded: [UInt8] {
    switch self {
    case .status(let text): return line("+", text)
    case .error(let text): return line("-", text)
    case .integer(let number): return line(":", String(number))
    case .bulk(let bytes): return line("$", String(bytes.count)) + bytes + [13, 10]
    case .null: return line("$", "-1")
    case .array(let elements):
      return line("*", String(elements.count)) + elements.flatMap(\.encoded)
    }
  }

  private func line(_ mark: String, _ text: String) -> [UInt8] {
    mark.utf8 + text.utf8.map { $0 == 13 || $0 == 10 ? 32 : $0 } + [13, 10]
  }
}
