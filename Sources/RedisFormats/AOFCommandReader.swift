/// Hands on the commands of an append-only file, one by one: for files whose framing was checked before.
/// Annotations are passed over. Total on any bytes; bad framing ends it.
package struct AOFCommandReader: Sendable {
  /// Longer arguments are handed on as nil.
  package static let argumentBytesMax = 64 << 10
  /// Of a command with more arguments, or more bytes in them, the rest is not handed on.
  package static let argumentsMax = 1 << 16
  package static let commandBytesMax = 4 << 20

  package private(set) var isBroken = false
  private enum Step: Sendable { case lineStart, argumentHeader, argument, argumentEnd }
  private var step = Step.lineStart
  private var carry: [UInt8] = []
  private var argumentsLeft: UInt64 = 0
  private var bytesLeft: UInt64 = 0
  private var arguments: [[UInt8]?] = []
  private var argument: [UInt8]? = []
  private var commandBytes = 0
  /// Whether the command at hand is handed on as a whole, but for single long arguments.
  private var isWhole = true

  package init() {}

  package mutating func consume(
    _ bytes: UnsafeRawBufferPointer, _ take: (_ arguments: [[UInt8]?], _ isWhole: Bool) -> Void
  ) {
    var index = 0
    while index < bytes.count, !isBroken {
      switch step {
      case .argument:
        let count = Int(min(UInt64(bytes.count - index), bytesLeft))
        argument?.append(contentsOf: bytes[index..<index + count])
        bytesLeft -= UInt64(count)
        index += count
        if bytesLeft == 0 { step = .argumentEnd }
      case .lineStart, .argumentHeader, .argumentEnd:
        carry.append(bytes[index])
        index += 1
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

  private mutating func endLine(_ take: (_ arguments: [[UInt8]?], _ isWhole: Bool) -> Void) {
    switch step {
    case .lineStart where carry[0] == UInt8(ascii: "#"): break
    case .lineStart:
      guard let count = number(UInt8(ascii: "*")), count > 0 else { return isBroken = true }
      argumentsLeft = count
      arguments.removeAll(keepingCapacity: true)
      (commandBytes, isWhole) = (0, true)
      step = .argumentHeader
    case .argumentHeader:
      guard let count = number(UInt8(ascii: "$")) else { return isBroken = true }
      bytesLeft = count
      argument = count <= UInt64(AOFCommandReader.argumentBytesMax) ? [] : nil
      step = count == 0 ? .argumentEnd : .argument
    case .argumentEnd:
      guard carry.count == 2 else { return isBroken = true }
      commandBytes += argument?.count ?? 0
      if arguments.count < AOFCommandReader.argumentsMax,
        commandBytes <= AOFCommandReader.commandBytesMax
      {
        arguments.append(argument)
      } else {
        isWhole = false
      }
      argumentsLeft -= 1
      step = argumentsLeft == 0 ? .lineStart : .argumentHeader
      if argumentsLeft == 0 { take(arguments, isWhole) }
    case .argument: break
    }
  }

  private func number(_ marker: UInt8) -> UInt64? {
    guard carry.count >= 4, carry[0] == marker, carry[carry.count - 2] == 13 else { return nil }
    return UInt64(String(decoding: carry[1..<carry.count - 2], as: UTF8.self))
  }
}
