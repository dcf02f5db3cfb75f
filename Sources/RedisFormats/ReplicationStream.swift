/// Reads the commands that a primary sends to a replica, and says how far they change data.
///
/// The bytes of the stream become the log as they are. This only finds the ends of commands, and which commands
/// do not need an upload: PING and PUBLISH do not change data, and `REPLCONF GETACK *` asks for the replica's
/// offset (for WAIT, and when the primary shuts down). An idle primary sends a PING every ten seconds, which
/// does not have to be uploaded.
package struct ReplicationStream: Sendable {
  /// How many bytes were read.
  package private(set) var taken: UInt64 = 0
  /// The end of the last complete command.
  package private(set) var boundary: UInt64 = 0
  /// The end of the last complete command that may change data.
  package private(set) var dataEnd: UInt64 = 0
  /// How many GETACKs were read.
  package private(set) var questions: UInt64 = 0
  /// The bytes are not commands. Nothing after them is read.
  package private(set) var fault: FileFault?

  private enum State: Sendable {
    /// Before `*`.
    case command
    /// Before `$`.
    case argument
    /// In a number, after `*` or `$`.
    case digits(isCount: Bool, value: UInt64, count: Int)
    case numberEnd(isCount: Bool, value: UInt64)
    /// In an argument, with this many remaining bytes.
    case bytes(UInt64)
    /// After an argument, before CR or before LF.
    case argumentEnd(hasReturn: Bool)
  }
  private var state = State.command
  /// How many arguments of the command remain.
  private var missing: UInt64 = 0
  /// How many arguments of the command have started.
  private var begun = 0
  /// The beginnings of the first two arguments.
  private var words: (first: [UInt8], second: [UInt8]) = ([], [])

  /// One byte more than the longest word that is searched for.
  private static let wordMax = 9
  private static let argumentsMax: UInt64 = 1 << 31
  private static let lengthMax: UInt64 = 1 << 40

  package init() {}

  package mutating func consume(_ bytes: UnsafeRawBufferPointer) {
    var index = 0
    while index < bytes.count, fault == nil {
      guard case .bytes(let left) = state else {
        step(bytes[index])
        index += 1
        continue
      }
      let count = Int(min(left, UInt64(bytes.count - index)))
      note(UnsafeRawBufferPointer(rebasing: bytes[index..<(index + count)]))
      index += count
      taken += UInt64(count)
      let rest = left - UInt64(count)
      state = rest == 0 ? .argumentEnd(hasReturn: false) : .bytes(rest)
    }
  }

  private mutating func step(_ byte: UInt8) {
    let offset = taken
    taken += 1
    switch (state, byte) {
    case (.command, UInt8(ascii: "*")): state = .digits(isCount: true, value: 0, count: 0)
    case (.argument, UInt8(ascii: "$")): state = .digits(isCount: false, value: 0, count: 0)
    case (.digits(let isCount, let value, let count), UInt8(ascii: "0")...UInt8(ascii: "9"))
    where count < 13:
      let digit = UInt64(byte - UInt8(ascii: "0"))
      state = .digits(isCount: isCount, value: value * 10 + digit, count: count + 1)
    case (.digits(let isCount, let value, let count), UInt8(ascii: "\r")) where count > 0:
      state = .numberEnd(isCount: isCount, value: value)
    case (.numberEnd(isCount: true, let value), UInt8(ascii: "\n"))
    where (1...ReplicationStream.argumentsMax).contains(value):
      (missing, begun, words) = (value, 0, ([], []))
      state = .argument
    case (.numberEnd(isCount: false, let value), UInt8(ascii: "\n"))
    where value <= ReplicationStream.lengthMax:
      begun += 1
      state = value == 0 ? .argumentEnd(hasReturn: false) : .bytes(value)
    case (.argumentEnd(hasReturn: false), UInt8(ascii: "\r")): state = .argumentEnd(hasReturn: true)
    case (.argumentEnd(hasReturn: true), UInt8(ascii: "\n")):
      missing -= 1
      state = missing == 0 ? .command : .argument
      if missing == 0 { endCommand() }
    default:
      fault = FileFault(
        offset: offset, reason: "the replication stream holds bytes that are not a command")
    }
  }

  private mutating func note(_ bytes: UnsafeRawBufferPointer) {
    if begun == 1 { ReplicationStream.append(bytes, to: &words.first) }
    if begun == 2 { ReplicationStream.append(bytes, to: &words.second) }
  }

  private static func append(_ bytes: UnsafeRawBufferPointer, to word: inout [UInt8]) {
    for byte in bytes.prefix(wordMax - word.count) {
      word.append((0x41...0x5a).contains(byte) ? byte | 0x20 : byte)
    }
  }

  private mutating func endCommand() {
    boundary = taken
    switch String(decoding: words.first, as: UTF8.self) {
    case "ping", "publish", "spublish": break
    case "replconf": if words.second == Array("getack".utf8) { questions += 1 }
    default: dataEnd = taken
    }
  }
}
