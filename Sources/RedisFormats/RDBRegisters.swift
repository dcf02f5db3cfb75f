/// The position of a walk in its program.
struct RDBRegisters: Sendable {
  let layout = RDBLayout.shared
  /// False while a fault or the end stops the walk.
  var isRunning = true
  private(set) var operation = RDBOperation.magic
  private var position = RDBLayout.magic

  /// Loops nest three deep at most (groups, consumers, pending entries of a stream).
  private var loopsLeft = SIMD4<UInt64>()
  private var loopStarts = SIMD4<Int>()
  private var depth = 0

  /// Remaining bytes of the current string's body.
  var bodyLeft: UInt64 = 0

  /// Bytes of the current string after decompression.
  var stringSize: UInt64 = 0

  /// Of the file.
  var isValkeyMagic = false
  /// A server that can read the file converts its ziplists (Redis 7.0 and newer, RDB version 10).
  var isConverting = false
  /// The writer reads all of a packed value when it loads one.
  var isReadWhole = false
  /// Of the current value.
  var hasExpiry = false
  var expiresAt: Int64?
  /// Milliseconds in a unit of the expiry that follows; 0: none follows.
  var expiryUnit: Int64 = 0
  var typeByte: UInt8 = 0
  var type = 0
  var valueStart: UInt64 = 0
  var elements: UInt64 = 0
  var fieldExpires: UInt64 = 0
  /// Of a module's value: unsigned integers so far.
  var moduleNumbers = 0
  /// The template at hand.
  var template: UInt64 = 0
  /// Of a quicklist's node.
  var isPlainNode = false

  mutating func jump(to target: Int) {
    position = target
    operation = layout.code[target]
  }

  /// Does `other` next, and stays at the position.
  mutating func redirect(to other: RDBOperation) {
    operation = other
  }

  /// Continues with the next operation. Runs the ends of loops, which read nothing.
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

  /// Enters the loop whose `loop` operation stands at the position.
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

  /// Passes over the next `count` operations, and enters the loop whose operation then stands there.
  mutating func beginLoop(_ count: UInt64, behind operations: Int) {
    position &+= operations
    beginLoop(count)
  }

  /// Records whose layout is known from tests and descriptions only: no server that writes them was to be had.
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
