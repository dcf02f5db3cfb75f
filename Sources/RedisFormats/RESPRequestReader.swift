/// Reads the commands that clients send to a server from bytes that arrive in any portions: arrays of bulk
/// strings, and lines of words (`PING\r\n`). Safe for any input, and bounded.
package struct RESPRequestReader: Sendable {
  package enum Fault: Error, Sendable, Equatable { case tooLong, malformed }

  private let bytesMax: Int
  private var bytes: [UInt8] = []

  /// - Parameter bytesMax: the maximum size of a command with its framing.
  package init(bytesMax: Int) {
    precondition(bytesMax > 0, "commands of \(bytesMax) bytes")
    self.bytesMax = bytesMax
  }

  package mutating func append(_ portion: some Collection<UInt8>) { bytes += portion }

  /// The arguments of the next command, starting with its name; nil while it is incomplete. Empty lines and
  /// arrays are skipped, as by servers.
  package mutating func next() throws(Fault) -> [[UInt8]]? {
    while true {
      var position = 0
      let command =
        try bytes.first == UInt8(ascii: "*") ? array(&position) : line(&position)
      guard let command else {
        guard bytes.count <= bytesMax else { throw .tooLong }
        return nil
      }
      guard position <= bytesMax else { throw .tooLong }
      bytes.removeFirst(position)
      if !command.isEmpty { return command }
    }
  }

  private func array(_ position: inout Int) throws(Fault) -> [[UInt8]]? {
    guard let count = try number(after: UInt8(ascii: "*"), &position) else { return nil }
    guard count > 0 else { return [] }
    // Each argument has at least `$0\r\n\r\n`.
    guard count <= bytesMax / 6 + 1 else { throw .tooLong }
    var arguments: [[UInt8]] = []
    for _ in 0..<count {
      guard let length = try number(after: UInt8(ascii: "$"), &position) else { return nil }
      guard length >= 0 else { throw .malformed }
      guard length <= bytesMax else { throw .tooLong }
      let end = position + length
      guard end + 2 <= bytes.count else { return nil }
      guard bytes[end] == 13, bytes[end + 1] == 10 else { throw .malformed }
      arguments.append(Array(bytes[position..<end]))
      position = end + 2
    }
    return arguments
  }

  /// The number on a line that begins with `mark`; nil while the line is incomplete.
  private func number(after mark: UInt8, _ position: inout Int) throws(Fault) -> Int? {
    guard let end = bytes[position...].firstIndex(of: 10) else { return nil }
    let line = bytes[position..<end]
    guard line.first == mark, line.last == 13,
      let number = Int(String(decoding: line.dropFirst().dropLast(), as: UTF8.self))
    else { throw .malformed }
    position = end + 1
    return number
  }

  private func line(_ position: inout Int) throws(Fault) -> [[UInt8]]? {
    guard let end = bytes.firstIndex(of: 10) else { return nil }
    position = end + 1
    let text = bytes[end > 0 && bytes[end - 1] == 13 ? 0..<end - 1 : 0..<end]
    guard let words = splitArguments(text) else { throw .malformed }
    return words.map { Array($0) }
  }
}
