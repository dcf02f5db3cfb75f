/// Passes on the commands and annotations of an append-only file, one by one. The framing should have been
/// checked before. Safe for any input: bad framing ends the reading.
package struct AOFCommandReader: Sendable {
  /// Longer arguments are passed on as nil.
  package static let argumentBytesMax = 64 << 10
  /// If a command has more arguments, or more bytes in them, the rest is not passed on.
  package static let argumentsMax = 1 << 16
  package static let commandBytesMax = 4 << 20

  package struct Command: Sendable {
    package var arguments: [[UInt8]?]
    /// The size of each argument, including those that are passed on as nil.
    package var sizes: [UInt64] = []
    /// Whether all arguments are included, except single long ones.
    package var isWhole: Bool
    /// The number of arguments in the file, including the name.
    package var count: UInt64
    /// Offsets in the file: of the first byte, and after the last byte.
    package var start: UInt64
    package var end: UInt64

    /// In capitals; empty if it is too long to be a command name.
    package var name: String {
      String(decoding: (arguments.first ?? nil) ?? [], as: UTF8.self).uppercased()
    }
  }

  package enum Event: Sendable {
    case command(Command)
    /// `#TS:` with a unix time. The commands after it were executed in or after that second.
    case timestamp(seconds: Int64, start: UInt64)
  }

  package private(set) var isBroken = false
  /// The offset of the next byte.
  package private(set) var offset: UInt64
  private let argumentBytesMax: Int
  private enum Step: Sendable { case lineStart, argumentHeader, argument, argumentEnd }
  private var step = Step.lineStart
  private var carry: [UInt8] = []
  private var start: UInt64 = 0
  private var argumentsLeft: UInt64 = 0
  private var bytesLeft: UInt64 = 0
  private var argumentSize: UInt64 = 0
  private var argument: [UInt8]? = []
  private var command = Command(arguments: [], isWhole: true, count: 0, start: 0, end: 0)
  private var commandBytes = 0

  /// - Parameters:
  ///   - offset: the position of the next byte in the file. A command or annotation begins there.
  ///   - argumentBytesMax: longer arguments are passed on as nil.
  package init(at offset: UInt64 = 0, argumentBytesMax: Int = AOFCommandReader.argumentBytesMax) {
    self.offset = offset
    self.argumentBytesMax = argumentBytesMax
  }

  package mutating func consume(_ bytes: UnsafeRawBufferPointer, _ take: (Event) -> Void) {
    var index = 0
    while index < bytes.count, !isBroken {
      switch step {
      case .argument:
        let count = Int(min(UInt64(bytes.count - index), bytesLeft))
        argument?.append(contentsOf: bytes[index..<index + count])
        bytesLeft -= UInt64(count)
        index += count
        offset += UInt64(count)
        if bytesLeft == 0 { step = .argumentEnd }
      case .lineStart, .argumentHeader, .argumentEnd:
        if step == .lineStart, carry.isEmpty { start = offset }
        carry.append(bytes[index])
        index += 1
        offset += 1
        guard carry.last == 10 else {
          // Servers write shorter annotations and headers than this.
          if carry.count > 1024 { isBroken = true }
          continue
        }
        endLine(take)
        carry.removeAll(keepingCapacity: true)
      }
    }
  }

  private mutating func endLine(_ take: (Event) -> Void) {
    switch step {
    case .lineStart where carry[0] == UInt8(ascii: "#"):
      var annotation = AOFAnnotation(start: start)
      _ = carry.withUnsafeBytes { annotation.take($0) }
      if let seconds = annotation.seconds { take(.timestamp(seconds: seconds, start: start)) }
    case .lineStart:
      guard let count = number(UInt8(ascii: "*")), count > 0 else { return isBroken = true }
      argumentsLeft = count
      command.arguments.removeAll(keepingCapacity: true)
      command.sizes.removeAll(keepingCapacity: true)
      (command.count, command.start, command.isWhole) = (count, start, true)
      commandBytes = 0
      step = .argumentHeader
    case .argumentHeader:
      guard let count = number(UInt8(ascii: "$")) else { return isBroken = true }
      (bytesLeft, argumentSize) = (count, count)
      argument = count <= UInt64(argumentBytesMax) ? [] : nil
      step = count == 0 ? .argumentEnd : .argument
    case .argumentEnd:
      guard carry.count == 2 else { return isBroken = true }
      commandBytes += argument?.count ?? 0
      if command.arguments.count < AOFCommandReader.argumentsMax,
        commandBytes <= AOFCommandReader.commandBytesMax
      {
        command.arguments.append(argument)
        command.sizes.append(argumentSize)
      } else {
        command.isWhole = false
      }
      argumentsLeft -= 1
      step = argumentsLeft == 0 ? .lineStart : .argumentHeader
      if argumentsLeft == 0 {
        command.end = offset
        take(.command(command))
      }
    case .argument: break
    }
  }

  private func number(_ marker: UInt8) -> UInt64? {
    guard carry.count >= 4, carry[0] == marker, carry[carry.count - 2] == 13 else { return nil }
    return UInt64(String(decoding: carry[1..<carry.count - 2], as: UTF8.self))
  }
}
