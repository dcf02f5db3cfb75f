package import BackupTypes

/// Makes the relative expiries of a replication stream absolute.
///
/// Redis 6.2 sends `SET key value PX 50000` and `PEXPIRE key 50000` to its replicas as they are. A server that
/// loads them later counts from then on, so each key would live too long by the age of its command. Here the time
/// at which the command was received is added:
///
///     SET k v PX 50000      becomes  SET k v PXAT 1795000050000
///     EXPIRE k 50           becomes  PEXPIREAT k 1795000050000
///     RESTORE k 50000 v     becomes  RESTORE k 1795000050000 v ABSTTL
///
/// Everything else stays as it is, also what is no command. Redis 6.2 sends SETEX and PSETEX as SET, and GETEX as
/// PEXPIRE. From Redis 7.0 on all expiries are absolute, and nothing changes.
///
/// Memory is bounded whatever the input: only arguments of up to 20 bytes are held.
package struct AbsoluteExpiries: Sendable {
  /// Bytes that were returned before and have to be others.
  package struct Patch: Sendable, Equatable {
    /// How many bytes were returned before the first of them.
    package var offset: UInt64
    package var bytes: [UInt8]
  }

  private enum State: Sendable {
    case command, argument
    /// In a number, after `*` or `$`.
    case digits(isCount: Bool)
    /// In an argument: so many bytes of it are still to come, its end included.
    case bytes(UInt64)
    /// The same, for an argument that is held.
    case held(UInt64)
    /// These bytes are no commands.
    case foreign
  }
  private enum Kind: Sendable {
    case other
    /// EXPIRE and PEXPIRE: the argument 2, in units of so many milliseconds.
    case expire(unit: Int64)
    /// SET and GETEX: the argument after EX or PX, which comes at `first` or later.
    case options(first: Int, unit: Int64?)
    /// RESTORE: the argument 2.
    case restore(Restore)
  }
  private struct Restore: Sendable {
    /// Where the expiry was returned, and what came.
    var expiry: (offset: UInt64, text: [UInt8])?
    var isAbsolute = false
  }

  private var state = State.command
  private var kind = Kind.other
  private var arguments = 0
  /// Where their number was returned.
  private var countAt: UInt64 = 0
  /// Which argument is read.
  private var index = 0
  /// The argument, or the line of a number, as far as it came.
  private var held: [UInt8] = []
  private var output: [UInt8] = []
  private var returned: UInt64 = 0
  private var patches: [Patch] = []

  private static let heldMax = 20
  private static let numberMax = 13
  /// The digits of milliseconds since 1970, from 2001 to 2286.
  private static let timeDigits = 13

  package init() {}

  /// - Parameters:
  ///   - bytes: the next bytes of the stream.
  ///   - receivedAt: when the byte at that index was received, or a little later.
  /// - Returns: the bytes to write next, and what then has to be changed in what was written.
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

  /// Of the line that is held; nil if it is not one that a server sends.
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

  /// Whether the argument may have to be another, or says what the others are.
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

  /// The first argument.
  private mutating func name(_ word: [UInt8]) -> [UInt8] {
    switch (String(decoding: word, as: UTF8.self).uppercased(), arguments) {
    case ("EXPIRE", 3): kind = .expire(unit: 1000)
    case ("PEXPIRE", 3): kind = .expire(unit: 1)
    case ("SET", 5...): kind = .options(first: 3, unit: nil)
    case ("GETEX", 4...): kind = .options(first: 2, unit: nil)
    // One argument more still is a number of one digit.
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
      // Without a number the command is as wrong as before.
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

  /// Nil for what is no number of so many milliseconds.
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
      // The expiry was a time already. One that is over is not sent: the key is deleted instead.
      if expiry.text.count == AbsoluteExpiries.timeDigits {
        patches.append(Patch(offset: expiry.offset, bytes: expiry.text))
      }
    } else {
      patches.append(Patch(offset: countAt, bytes: Array("\(arguments + 1)".utf8)))
      put(Array("ABSTTL".utf8))
    }
  }
}
