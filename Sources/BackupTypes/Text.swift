/// `value` in decimal, padded with zeros on the left to at least `width` digits.
package func decimal(_ value: some BinaryInteger, width: Int) -> String {
  let digits = String(value)
  return digits.utf8.count >= width
    ? digits : String(repeating: "0", count: width - digits.utf8.count) + digits
}

/// Bytes as lower-case hexadecimal.
package func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  let digits = Array("0123456789abcdef".utf8)
  var text: [UInt8] = []
  for byte in bytes {
    text.append(digits[Int(byte >> 4)])
    text.append(digits[Int(byte & 15)])
  }
  return String(decoding: text, as: UTF8.self)
}

/// The bytes of lower-case hexadecimal; nil for anything else. Upper case is refused, so that each value has
/// one spelling and each object one name.
package func bytes(hexadecimal text: some StringProtocol) -> [UInt8]? {
  var result: [UInt8] = []
  var high: UInt8?
  for character in text.utf8 {
    guard let nibble = nibble(hexadecimal: character) else { return nil }
    if let first = high {
      result.append(first << 4 | nibble)
      high = nil
    } else {
      high = nibble
    }
  }
  return high == nil ? result : nil
}

/// The number with at most 16 lower-case hexadecimal digits; nil for any other character.
func word(hexadecimal digits: UnsafeRawBufferPointer, _ range: Range<Int>) -> UInt64? {
  var word: UInt64 = 0
  for index in range {
    guard let nibble = nibble(hexadecimal: digits[index]) else { return nil }
    word = word << 4 | UInt64(nibble)
  }
  return word
}

private func nibble(hexadecimal digit: UInt8) -> UInt8? {
  switch digit {
  case 48...57: digit - 48
  case 97...102: digit - 87
  default: nil
  }
}

extension UInt64 {
  /// The sum, or the maximum value on overflow, since numbers from a bucket can have any size.
  package func addingSaturated(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}

/// A number of bytes for people: `0 B`, `812 B`, `4.0 MiB`.
package func humanBytes(_ count: some BinaryInteger) -> String {
  let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
  var value = Double(count)
  var unit = 0
  // Rounded as it is printed, so that one byte less than 1 MiB is `1.0 MiB` and not `1024.0 KiB`.
  while (unit == 0 ? value : (value * 10).rounded() / 10) >= 1024, unit < units.count - 1 {
    value /= 1024
    unit += 1
  }
  if unit == 0 { return "\(count) B" }
  let tenths = Int((value * 10).rounded())
  return "\(tenths / 10).\(tenths % 10) \(units[unit])"
}

/// A duration for people: `0 s`, `1.4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
package func humanDuration(milliseconds: Int64) -> String {
  if milliseconds < 0 {
    return "-" + humanDuration(milliseconds: milliseconds == .min ? .max : -milliseconds)
  }
  if milliseconds < 60_000 {
    return milliseconds % 1000 == 0
      ? "\(milliseconds / 1000) s" : "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
  }
  let seconds = milliseconds / 1000
  if seconds < 3600 {
    return "\(seconds / 60) min" + (seconds % 60 == 0 ? "" : " \(seconds % 60) s")
  }
  if seconds < 86_400 {
    return "\(seconds / 3600) h" + (seconds / 60 % 60 == 0 ? "" : " \(seconds / 60 % 60) min")
  }
  return "\(seconds / 86_400) d" + (seconds / 3600 % 24 == 0 ? "" : " \(seconds / 3600 % 24) h")
}

/// The text, wrapped to lines of at most `width` characters. A longer word gets its own line.
package func wrapped(_ text: String, width: Int) -> String {
  var lines: [String] = []
  for word in text.split(separator: " ") {
    if let last = lines.last, last.count + 1 + word.count <= width {
      lines[lines.count - 1] += " " + word
    } else {
      lines.append(String(word))
    }
  }
  return lines.joined(separator: "\n")
}

/// How many characters have to be inserted, removed or replaced to turn one text into the other.
package func editDistance(_ a: String, _ b: String) -> Int {
  let target = Array(b)
  var row = Array(0...target.count)
  for (i, character) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for j in target.indices {
      let replaced = diagonal + (character == target[j] ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
    }
  }
  return row[target.count]
}

/// A count with its noun: "1 key", "0 keys", "2 entries".
///
/// - Parameter plural: the plural, if it is not `noun` with an "s".
package func counted(_ count: some BinaryInteger, _ noun: String, _ plural: String? = nil) -> String
{
  "\(count) " + (count == 1 ? noun : plural ?? noun + "s")
}

/// A name from a bucket or a file, made safe to print: control and non-ASCII bytes escaped, and no
/// longer than `limit` characters.
package func printable(_ text: String, limit: Int = 200) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    if result.utf8.count >= limit { return result + "…" }
    if scalar.value >= 0x20, scalar.value < 0x7f {
      result.unicodeScalars.append(scalar)
    } else {
      result += "\\u{" + String(scalar.value, radix: 16) + "}"
    }
  }
  return result
}
