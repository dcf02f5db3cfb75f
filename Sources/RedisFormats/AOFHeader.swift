/// The line that announces a command (`*3`) or an argument (`$17`): a marker, digits, CRLF.
enum AOFHeader {
  case number(UInt64, size: Int)
  case incomplete
  /// The index of the first invalid byte.
  case invalid(at: Int)

  /// Reads the line at the start of `bytes`. The caller has checked its marker. A number has at most 13
  /// digits, so a line always fits into what a scanner carries over.
  @inline(__always)
  static func read(_ bytes: UnsafeRawBufferPointer, max: UInt64) -> AOFHeader {
    var value: UInt64 = 0
    var index = 1
    while index < bytes.count {
      let byte = bytes[index]
      guard byte >= 48, byte <= 57 else { break }
      guard index <= 13 else { return .invalid(at: index) }
      value = value &* 10 &+ UInt64(byte &- 48)
      index &+= 1
    }
    guard index < bytes.count else { return .incomplete }
    guard index > 1, value <= max, bytes[index] == 13 else { return .invalid(at: index) }
    guard index &+ 1 < bytes.count else { return .incomplete }
    guard bytes[index &+ 1] == 10 else { return .invalid(at: index &+ 1) }
    return .number(value, size: index &+ 2)
  }
}

/// An annotation line of the append-only file, for example `#TS:1700000000`.
struct AOFAnnotation: Sendable {
  /// The loader's line buffer holds 1023 bytes, LF included.
  static let byteCountMax = 1023
  /// Enough for `#TS:` and a number with 18 digits.
  private static let headMax = 24

  private(set) var start: UInt64 = 0
  private(set) var isComplete = false
  private(set) var fault: String?
  private var head: [UInt8] = []
  private var byteCount = 0

  init(start: UInt64 = 0) { self.start = start }

  /// Takes bytes up to and including LF. Returns how many were taken, or at a fault, how many came before it.
  mutating func take(_ bytes: UnsafeRawBufferPointer) -> Int {
    for (index, byte) in bytes.enumerated() {
      byteCount += 1
      if head.count < AOFAnnotation.headMax { head.append(byte) }
      if byte == 10 {
        isComplete = true
        return index + 1
      }
      if byte == 0 { fault = "zero bytes in an annotation" }
      if byteCount >= AOFAnnotation.byteCountMax {
        fault = "an annotation is longer than \(AOFAnnotation.byteCountMax) bytes"
      }
      if fault != nil { return index }
    }
    return bytes.count
  }

  /// The time of a complete `#TS:` line, with the CRLF that the server writes or only an LF.
  var seconds: Int64? {
    guard isComplete, head.starts(with: "#TS:".utf8), head.last == 10 else { return nil }
    var digits = head.dropFirst(4).dropLast()
    if digits.last == 13 { digits.removeLast() }
    guard !digits.isEmpty, digits.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
    return Int64(String(decoding: digits, as: UTF8.self))
  }
}
