/// A command's name or subcommand, case folded, as far as it can be one that the scanner knows: all
/// of those are eight letters at most.
struct AOFWord: Sendable, Equatable {
  private var bits: UInt64 = 0
  private var count = 0

  init() {}

  init(_ name: StaticString) {
    self.init()
    append(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
  }

  @inline(__always)
  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    for byte in bytes {
      // A longer word equals none of ours; nine stands for every such length.
      guard count < 8 else {
        count = 9
        return
      }
      // Clearing bit 5 maps only a letter to a letter.
      bits |= UInt64(byte & 0xdf) << UInt64(8 &* count)
      count &+= 1
    }
  }
}

/// What the scanner distinguishes among commands.
enum AOFCommand: Sendable, Equatable {
  case select, multi, execute, discard, function
  case destructive(String)
  case other

  private static let words: [(AOFWord, AOFCommand)] = [
    (AOFWord("SELECT"), .select), (AOFWord("MULTI"), .multi), (AOFWord("EXEC"), .execute),
    (AOFWord("DISCARD"), .discard), (AOFWord("FUNCTION"), .function),
    (AOFWord("FLUSHALL"), .destructive("FLUSHALL")),
    (AOFWord("FLUSHDB"), .destructive("FLUSHDB")), (AOFWord("SWAPDB"), .destructive("SWAPDB")),
  ]
  static let flush = AOFWord("FLUSH")

  init(_ word: AOFWord) {
    self = .other
    for (known, command) in AOFCommand.words where known == word { self = command }
  }
}
