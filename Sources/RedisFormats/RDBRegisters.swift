/// The position of a walk in its program.
struct RDBRegisters: Sendable {
  let layout = RDBLayout.shared
  /// False while a fault or the end stops the walk.
  var isRunning = true
  private(set) var operation = RDBOperation.magic
  private var position = RDBLayout.magic

  /// Loops are nested at most three deep (groups, consumers, pending entries of a stream).
  private var loopsLeft = SIMD4<UInt64>()
  private var loopStarts = SIMD4<Int>()
  private var depth = 0

  /// Remaining bytes of the current string's body.
  var bodyLeft: UInt64 = 0

  /// The size of the current string after decompression.
  var stringSize: UInt64 = 0

  /// Whether the file has the magic VALKEY.
  var isValkeyMagic = false
  /// Whether every server that can read the file converts its ziplists (Redis 7.0 and newer, RDB version 10).
  var isConverting = false
  /// Whether the writer reads all of a packed value when it loads one.
  var isReadWhole = false
  /// Whether the current key has an expiry.
  var hasExpiry = false
  var expiresAt: Int64?
  /// The unit of the next expiry in milliseconds; 0 if there is none.
  var expiryUnit: Int64 = 0
  var typeByte: UInt8 = 0
  var type = 0
  var valueStart: UInt64 = 0
  var elements: UInt64 = 0
  var fieldExpires: UInt64 = 0
  /// The number of unsigned integers of a module's value so far.
  var moduleNumbers = 0
  /// The current template.
  var template: UInt64 = 0
  /// Whether the current node of a quicklist is plain.
  var isPlainNode = false

  mutating func jump(to target: Int) {
    position = target
    operation = layout.code[target]
  }

  /// Performs `other` next, and stays at the position.
  mutating func redirect(to other: RDBOperation) {
    operation = other
  }

  /// Continues with the next operation. Runs the ends of loops, which do not read anything.
  mutating func advance() {
    position &+= 1
    operation = layout.code[position]
    while operation == .end {
      loopsLeft[depth &- 1] &-= 1
      if loopsLeft[depth &- 1] > 0 {
        position = loopStarts[depth &- 1]
      } else {
        depth &-= 1
        position &+= 1
      }
      operation = layout.code[position]
    }
  }

  /// Enters the loop whose `loop` operation is at the position.
  mutating func beginLoop(_ count: UInt64) {
    if count == 0 {
      position = layout.behindLoop(position &+ 1) &- 1
    } else {
      loopsLeft[depth] = count
      loopStarts[depth] = position &+ 1
      depth &+= 1
    }
    advance()
  }

  /// Skips the next `operations` operations, and enters the loop that then follows.
  mutating func beginLoop(_ count: UInt64, behind operations: Int) {
    position &+= operations
    beginLoop(count)
  }

  /// Whether the layout of a record is only known from tests and descriptions, because no server that writes
  /// it was available.
  func isGuess(_ byte: UInt8) -> Bool {
    isValkeyMagic ? byte == 23 : byte == 30 || byte == 32 || byte == 0xf2
  }

  mutating func beginValue(type: Int) {
    self.type = type
    elements = 0
    moduleNumbers = 0
    fieldExpires = 0
  }
}
