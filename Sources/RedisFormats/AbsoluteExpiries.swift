package import BackupTypes

/// Makes the relative expiries of a replication stream absolute.
///
/// Redis 6.2 sends `SET key value PX 50000` and `PEXPIRE key 50000` to its replicas unchanged. A server that
/// loads them later counts from the time of loading. Each key would then live too long by the age of its
/// command. So the time at which the command was received is added:
///
///     SET k v PX 50000      becomes  SET k v PXAT 1795000050000
///     EXPIRE k 50           becomes  PEXPIREAT k 1795000050000
///     RESTORE k 50000 v     becomes  RESTORE k 1795000050000 v ABSTTL
///
/// Everything else stays unchanged, including what is not a command. Redis 6.2 sends SETEX and PSETEX as SET,
/// and GETEX as PEXPIRE. From Redis 7.0 on, all expiries are absolute, and nothing changes.
///
/// Memory is bounded for any input. Only arguments of up to 20 bytes are held.
package struct AbsoluteExpiries: Sendable {
  /// Bytes that were already returned and have to be replaced.
  package struct Patch: Sendable, Equatable {
    /// How many bytes were returned before the first byte to replace.
    package var offset: UInt64
    package var bytes: [UInt8]
  }

  private enum State: Sendable {
    case command, argument
    /// Within a number, after `*` or `$`.
    case digits(isCount: Bool)
    /// Within an argument. The count is the number of remaining bytes, including the line end.
    case bytes(UInt64)
    /// The same, but the argument is held.
    case held(UInt64)
    /// The bytes are not commands.
    case foreign
  }
  private enum Kind: Sendable {
    case other
    /// EXPIRE and PEXPIRE: argument 2, in this many milliseconds.
    case expire(unit: Int64)
    /// SET and GETEX: the argument after EX or PX. The option is at index `first` or later.
    case options(first: Int, unit: Int64?)
    /// RESTORE: argument 2.
    case restore(Restore)
  }
  private struct Restore: Sendable {
    /// The position and the original text of the expiry.
    var expiry: (offset: UInt64, text: [UInt8])?
    var isAbsolute = false
  }

  private var state = State.command
  private var kind = Kind.other
  private var arguments = 0
  /// The position of the number of arguments in the output.
  private var countAt: UInt64 = 0
  /// The index of the current argument.
  private var index = 0
  /// The part of the argument, or of the line with a number, that was received so far.
  private var held: [UInt8] = []
  private var output: [UInt8] = []
  private var returned: UInt64 = 0
  private var patches: [Patch] = []

  private static let heldMax = 20
  private static let numberMax = 13
  /// The number of digits of a time in milliseconds since 1970, from 2001 to 2286.
  private static let timeDigits = 13

  package init() {}

  /// - Parameters:
  ///   - bytes: the next bytes of the stream.
  ///   - receivedAt: when the byte at that index was received, or slightly later.
  /// - Returns: the bytes to write next, and the changes to make afterwards in what was written.
  package mutating func consume(
    _ bytes: ArraySlice<UInt8>, receivedAt: (ArraySlice<UInt8>.Index) -> Instant
  ) -> (output: [UInt8], patches: [Patch]) {
    output.reserveCapacity(bytes.count + bytes.count / 8)
    var at = bytes.startIndex
    while at < bytes.endIndex {
      switch state {
      case .bytes(let left):
        let count = Int(min(left, UInt64(bytes.endIndex - at)))
        output += bytes[at..<at + count]
        at += count
        state = .bytes(left - UInt64(count))
        if UInt64(count) == left { endArgument() }
      case .held(let left):
        let count = Int(min(left, UInt64(bytes.endIndex - at)))
        held += bytes[at..<at + count]
        at += count
        state = .held(left - UInt64(count))
        if UInt64(count) == left { endHeld(receivedAt(at - 1)) }
      case .foreign:
        output += bytes[at...]
        at = bytes.endIndex
      case .command, .argument, .digits:
        step(bytes[at])
        at += 1
      }
    }
    defer { (output, patches) = ([], []) }
    returned += UInt64(output.count)
    return (output, patches)
  }

  private var position: UInt64 { returned + UInt64(output.count) }

  private mutating func step(_ byte: UInt8) {
    switch (state, byte) {
    case (.command, UInt8(ascii: "*")): beginNumber(byte, isCount: true)
    case (.argument, UInt8(ascii: "$")): beginNumber(byte, isCount: false)
    case (.digits(let isCount), _):
      held.append(byte)
      guard byte == UInt8(ascii: "\n") else {
        if held.count > AbsoluteExpiries.numberMax + 3 { giveUp() }
        return
      }
      guard let number, !isCount || number > 0 else { return giveUp() }
      if isCount { begin(Int(number)) } else { beginArgument(number) }
    default:
      held = [byte]
      giveUp()
    }
  }

  private mutating func beginNumber(_ byte: UInt8, isCount: Bool) {
    held.removeAll(keepingCapacity: true)
    held.append(byte)
    state = .digits(isCount: isCount)
  }

  /// The number in the held line; nil if a server would not send such a line.
  private var number: UInt64? {
    guard held.count > 3, held[held.count - 2] == UInt8(ascii: "\r") else { return nil }
    var value: UInt64 = 0
    for digit in held[1..<held.count - 2] {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      value = value * 10 + UInt64(digit - UInt8(ascii: "0"))
    }
    return value < 1 << 40 ? value : nil
  }

  private mutating func giveUp() {
    output += held
    state = .foreign
  }

  private mutating func begin(_ count: Int) {
    (arguments, index, state) = (count, 0, .argument)
    countAt = position + 1
    output += held
  }

  private mutating func beginArgument(_ length: UInt64) {
    if length <= AbsoluteExpiries.heldMax, isWanted {
      state = .held(length + 2)
    } else {
      output += held
      state = .bytes(length + 2)
    }
    held.removeAll(keepingCapacity: true)
  }

  /// Whether the argument may have to be changed, or determines which others have to be.
  private var isWanted: Bool {
    if index == 0 { return true }
    return switch kind {
    case .other: false
    case .expire: index == 2
    case .options(let first, _): index >= first
    case .restore: index == 2 || index > 3
    }
  }

  private mutating func endHeld(_ time: Instant) {
    var word = Array(held.dropLast(2))
    if index == 0 { word = name(word) } else { word = argument(word, time) }
    put(word)
    endArgument()
  }

  private mutating func put(_ word: [UInt8]) {
    output += Array("$\(word.count)\r\n".utf8) + word + Array("\r\n".utf8)
  }

  /// Reads the first argument, the name of the command.
  private mutating func name(_ word: [UInt8]) -> [UInt8] {
    switch (String(decoding: word, as: UTF8.self).uppercased(), arguments) {
    case ("EXPIRE", 3): kind = .expire(unit: 1000)
    case ("PEXPIRE", 3): kind = .expire(unit: 1)
    case ("SET", 5...): kind = .options(first: 3, unit: nil)
    case ("GETEX", 4...): kind = .options(first: 2, unit: nil)
    // The limit is 8 because the count with one more argument has to stay a single digit.
    case ("RESTORE", 4...8), ("RESTORE-ASKING", 4...8): kind = .restore(Restore())
    default: kind = .other
    }
    if case .expire = kind { return Array("PEXPIREAT".utf8) }
    return word
  }

  private mutating func argument(_ word: [UInt8], _ time: Instant) -> [UInt8] {
    switch kind {
    case .other: return word
    case .expire(let unit):
      // If this is not a number, the command is as invalid as before.
      return absolute(word, unit, time) ?? word
    case .options(let first, let unit):
      if let unit {
        kind = .options(first: first, unit: nil)
        return absolute(word, unit, time) ?? word
      }
      switch String(decoding: word, as: UTF8.self).uppercased() {
      case "EX": kind = .options(first: first, unit: 1000)
      case "PX": kind = .options(first: first, unit: 1)
      default: return word
      }
      return Array("PXAT".utf8)
    case .restore(var restore):
      if index == 2 {
        guard word != [UInt8(ascii: "0")], word.count <= AbsoluteExpiries.timeDigits,
          let absolute = absolute(word, 1, time), absolute.count == AbsoluteExpiries.timeDigits
        else {
          kind = .other
          return word
        }
        restore.expiry = (position + UInt64("$13\r\n".utf8.count), word)
        kind = .restore(restore)
        return absolute
      }
      if String(decoding: word, as: UTF8.self).uppercased() == "ABSTTL" {
        restore.isAbsolute = true
        kind = .restore(restore)
      }
      return word
    }
  }

  /// Nil if the word is not a number, or if the time is too large.
  private func absolute(_ word: [UInt8], _ unit: Int64, _ time: Instant) -> [UInt8]? {
    guard let number = Int64(String(decoding: word, as: UTF8.self)) else { return nil }
    let (span, isTooLong) = number.multipliedReportingOverflow(by: unit)
    let (sum, isTooLate) = span.addingReportingOverflow(time.milliseconds)
    return isTooLong || isTooLate ? nil : Array("\(sum)".utf8)
  }

  private mutating func endArgument() {
    index += 1
    guard index == arguments else {
      state = .argument
      return
    }
    state = .command
    guard case .restore(let restore) = kind, let expiry = restore.expiry else { return }
    if restore.isAbsolute {
      // The expiry was already absolute. An expiry in the past is not sent: the key is deleted instead.
      if expiry.text.count == AbsoluteExpiries.timeDigits {
        patches.append(Patch(offset: expiry.offset, bytes: expiry.text))
      }
    } else {
      patches.append(Patch(offset: countAt, bytes: Array("\(arguments + 1)".utf8)))
      put(Array("ABSTTL".utf8))
    }
  }
}
