import BackupTypes
import SystemIO
import SystemPackage

/// A server's reply, in RESP2.
enum RESPReply: Sendable, Equatable {
  case status(String)
  case failure(String)
  case integer(Int64)
  case bulk([UInt8])
  case null
  case array([RESPReply])

  var bytes: [UInt8]? { if case .bulk(let bytes) = self { bytes } else { nil } }
  var strings: [[UInt8]]? {
    guard case .array(let elements) = self else { return nil }
    let found = elements.compactMap(\.bytes)
    return found.count == elements.count ? found : nil
  }
}

/// A client of a server on a Unix socket, used by one task. Blocks.
final class RESPConnection {
  /// How often to check, while waiting for a reply, whether to keep waiting.
  private static let waitMilliseconds = 200
  /// The server that we started sends nothing larger, since no sampled value is larger.
  private static let bulkBytesMax = 64 << 20
  private static let depthMax = 8

  private let socket: UnixSocket
  /// Throws if waiting is over: the command was cancelled, the server has ended, or it takes too long.
  private let patience: () throws -> Void
  private var input: [UInt8] = []
  private var position = 0
  private var chunk = [UInt8](repeating: 0, count: 64 << 10)

  init(_ path: FilePath, patience: @escaping () throws -> Void) throws {
    socket = try UnixSocket(
      connecting: path, waitMilliseconds: RESPConnection.waitMilliseconds)
    self.patience = patience
  }

  /// Sends one command. If the server answers with an error, that is the reply.
  func command(_ words: String...) throws -> RESPReply {
    try pipeline([words.map { Array($0.utf8) }])[0]
  }

  /// Sends all commands, then reads as many replies.
  func pipeline(_ commands: [[[UInt8]]]) throws -> [RESPReply] {
    var output: [UInt8] = []
    for words in commands {
      output += "*\(words.count)\r\n".utf8
      for word in words {
        output += "$\(word.count)\r\n".utf8
        output += word
        output += [13, 10]
      }
    }
    try send(output)
    return try commands.map { _ in try reply(depth: 0) }
  }

  private func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let count = try bytes.withUnsafeBytes {
        try socket.send(UnsafeRawBufferPointer(rebasing: $0[sent...]))
      }
      if count == 0 { try patience() }
      sent += count
    }
  }

  private func fill() throws {
    if position > 0 {
      input.removeFirst(position)
      position = 0
    }
    while true {
      let count = try chunk.withUnsafeMutableBytes { try socket.receive(into: $0) }
      guard let count else {
        try patience()
        continue
      }
      guard count > 0 else { throw RESPConnection.failure("it closed the connection") }
      return input += chunk[..<count]
    }
  }

  private func line() throws -> String {
    while true {
      if let end = input[position...].firstIndex(of: 10) {
        defer { position = end + 1 }
        return String(decoding: input[position..<max(position, end - 1)], as: UTF8.self)
      }
      guard input.count - position < 64 << 10 else { throw RESPConnection.failure("a long line") }
      try fill()
    }
  }

  private func reply(depth: Int) throws -> RESPReply {
    let line = try line()
    let text = String(line.dropFirst())
    switch line.first {
    case "+": return .status(text)
    case "-": return .failure(text)
    case ":":
      guard let value = Int64(text) else { break }
      return .integer(value)
    case "$":
      guard let count = Int(text), count <= RESPConnection.bulkBytesMax else { break }
      return count < 0 ? .null : .bulk(try bulk(count))
    case "*":
      guard let count = Int(text), depth < RESPConnection.depthMax else { break }
      return count < 0 ? .null : .array(try (0..<count).map { _ in try reply(depth: depth + 1) })
    default: break
    }
    throw RESPConnection.failure("it answers with \(printable(line, limit: 40))")
  }

  private func bulk(_ count: Int) throws -> [UInt8] {
    while input.count - position < count + 2 { try fill() }
    defer { position += count + 2 }
    return Array(input[position..<position + count])
  }

  private static func failure(_ reason: String) -> DrillServer.Refused {
    DrillServer.Refused(reason: reason)
  }
}
