/// The name of a command or subcommand, in one case. Only names that can be a known one are distinguished,
/// and these have at most 16 letters.
struct AOFWord: Sendable, Equatable {
  private var low: UInt64 = 0
  private var high: UInt64 = 0
  private var count = 0

  init() {}

  init(_ name: StaticString) {
    self.init()
    append(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
  }

  @inline(__always)
  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    for byte in bytes {
      // A longer word matches none of ours. 17 represents every such length.
      guard count < 16 else {
        count = 17
        return
      }
      // Clearing bit 5 maps only a letter to a letter.
      let letter = UInt64(byte & 0xdf) << UInt64(8 &* (count & 7))
      if count < 8 { low |= letter } else { high |= letter }
      count &+= 1
    }
  }

  var hash: Int {
    let value = (low ^ high &* 31) &* 0x9e37_79b9_7f4a_7c15
    return Int(truncatingIfNeeded: value >> 48)
  }

  /// The number, for a word of up to five digits.
  var number: Int? {
    guard (1...5).contains(count) else { return nil }
    var number = 0
    for index in 0..<count {
      // Digits without bit 5.
      let digit = Int(low >> UInt64(8 * index) & 0xff) - 0x10
      guard (0...9).contains(digit) else { return nil }
      number = number * 10 + digit
    }
    return number
  }
}

/// The commands that the scanner distinguishes.
enum AOFCommand: Sendable, Equatable {
  case select, multi, execute, function, cluster
  case destructive(String)
  case other

  private static let words: [(AOFWord, AOFCommand)] = [
    (AOFWord("SELECT"), .select), (AOFWord("MULTI"), .multi), (AOFWord("EXEC"), .execute),
    (AOFWord("FUNCTION"), .function), (AOFWord("CLUSTER"), .cluster),
    (AOFWord("FLUSHALL"), .destructive("FLUSHALL")),
    (AOFWord("FLUSHDB"), .destructive("FLUSHDB")), (AOFWord("SWAPDB"), .destructive("SWAPDB")),
  ]
  private static let flush = AOFWord("FLUSH")
  private static let flushSlot = AOFWord("FLUSHSLOT")

  /// Whether the second argument decides what the command is.
  var hasSubcommand: Bool { self == .function || self == .cluster }

  func with(_ subcommand: AOFWord) -> AOFCommand {
    switch self {
    case .function where subcommand == AOFCommand.flush: .destructive("FUNCTION FLUSH")
    case .cluster where subcommand == AOFCommand.flushSlot: .destructive("CLUSTER FLUSHSLOT")
    default: self
    }
  }

  init(_ word: AOFWord) {
    self = .other
    for (known, command) in AOFCommand.words where known == word { self = command }
  }
}
