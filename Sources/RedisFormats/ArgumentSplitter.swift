/// Splits a line as Redis's `sdssplitargs` does, for its configuration and the append-only file's
/// manifest (`sds.c`).
///
/// Arguments are separated by white space. `"…"` supports `\n \r \t \b \a \xHH`, and `\` before any other
/// byte gives that byte. `'…'` only supports `\'`. A quote may begin inside an argument but must end it. Nil
/// for unbalanced quotes. The caller has refused NUL, which ends a line for Redis.
func splitArguments(_ line: some Collection<UInt8>) -> [[UInt8]]? {
  var splitter = ArgumentSplitter(rest: Array(line)[...])
  return splitter.split()
}

private struct ArgumentSplitter {
  var rest: ArraySlice<UInt8>

  mutating func split() -> [[UInt8]]? {
    var arguments: [[UInt8]] = []
    while true {
      while let byte = rest.first, isSpace(byte) { rest.removeFirst() }
      guard !rest.isEmpty else { return arguments }
      guard let argument = argument() else { return nil }
      arguments.append(argument)
    }
  }

  private mutating func argument() -> [UInt8]? {
    var result: [UInt8] = []
    while let byte = rest.popFirst() {
      switch byte {
      case 0x20, 0x09, 0x0a, 0x0d: return result
      case UInt8(ascii: "\""): return doubleQuoted(&result) ? result : nil
      case UInt8(ascii: "'"): return singleQuoted(&result) ? result : nil
      default: result.append(byte)
      }
    }
    return result
  }

  private mutating func doubleQuoted(_ result: inout [UInt8]) -> Bool {
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\"") { return endsHere }
      guard byte == UInt8(ascii: "\\"), let escaped = rest.first else {
        result.append(byte)
        continue
      }
      rest.removeFirst()
      if escaped == UInt8(ascii: "x"), let value = twoDigits() {
        result.append(value)
      } else {
        result.append(unescape(escaped))
      }
    }
    return false
  }

  private mutating func singleQuoted(_ result: inout [UInt8]) -> Bool {
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "'") { return endsHere }
      if byte == UInt8(ascii: "\\"), rest.first == UInt8(ascii: "'") {
        rest.removeFirst()
        result.append(UInt8(ascii: "'"))
      } else {
        result.append(byte)
      }
    }
    return false
  }

  /// A closing quote must be followed by white space or the end.
  private var endsHere: Bool { rest.first.map(isSpace) ?? true }

  private mutating func twoDigits() -> UInt8? {
    let digits = rest.prefix(2)
    guard digits.count == 2, let high = digits.first.flatMap(hexadecimalDigit),
      let low = digits.last.flatMap(hexadecimalDigit)
    else { return nil }
    rest.removeFirst(2)
    return high << 4 | low
  }
}

/// The white space of C's `isspace`.
func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0d) }

/// ASCII letters in lower case.
func lowercased(_ bytes: some Sequence<UInt8>) -> [UInt8] {
  bytes.map { $0 >= 65 && $0 <= 90 ? $0 | 0x20 : $0 }
}

private func unescape(_ byte: UInt8) -> UInt8 {
  switch byte {
  case UInt8(ascii: "n"): 0x0a
  case UInt8(ascii: "r"): 0x0d
  case UInt8(ascii: "t"): 0x09
  case UInt8(ascii: "b"): 0x08
  case UInt8(ascii: "a"): 0x07
  default: byte
  }
}

private func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case 48...57: byte - 48
  case 65...70: byte - 55
  case 97...102: byte - 87
  default: nil
  }
}
