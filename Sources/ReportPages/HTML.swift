import BackupTypes

/// A piece of a page. Every interpolated value is escaped, unless it is a piece itself. So no code can forget
/// to escape text from a repository.
struct HTML: Sendable, Equatable, ExpressibleByStringInterpolation {
  private(set) var text: String

  init(stringLiteral value: String) { text = value }
  init(stringInterpolation: Interpolation) { text = stringInterpolation.text }
  init() { text = "" }

  static func += (left: inout HTML, right: HTML) { left.text += right.text }
  static func + (left: HTML, right: HTML) -> HTML {
    var sum = left
    sum += right
    return sum
  }

  /// A command whose lines break between its words: a browser would also break after a hyphen, inside
  /// `--point`.
  static func command(_ line: String) -> HTML {
    let words = line.split(separator: " ").map { "<span class=\"word\">\($0)</span>" as HTML }
    return words.dropFirst().reduce(words.first ?? "") { $0 + " " + $1 }
  }

  struct Interpolation: StringInterpolationProtocol {
    fileprivate var text = ""

    init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity) }
    mutating func appendLiteral(_ literal: String) { text += literal }
    mutating func appendInterpolation(_ piece: HTML) { text += piece.text }
    mutating func appendInterpolation(_ pieces: [HTML]) {
      for piece in pieces { text += piece.text }
    }
    mutating func appendInterpolation(_ value: some CustomStringConvertible) {
      escape(value.description, into: &text)
    }
    /// What we wrote ourselves: style and script.
    mutating func appendInterpolation(ours value: String) { text += value }
  }
}

/// For text and for attributes in quotes. Invisible characters, and characters that change the direction of
/// text, are replaced.
private func escape(_ text: String, into result: inout String) {
  for scalar in text.unicodeScalars {
    switch scalar {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    case "'": result += "&#39;"
    case "\n", "\t": result.unicodeScalars.append(scalar)
    case "\u{0}"..."\u{1f}", "\u{7f}"..."\u{9f}", "\u{200e}"..."\u{200f}",
      "\u{202a}"..."\u{202e}", "\u{2066}"..."\u{2069}":
      result += "\u{fffd}"
    default: result.unicodeScalars.append(scalar)
    }
  }
}

/// A JSON string for use inside a `script` element. Nothing in it can end the element.
func scriptString(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", " ", "-", "_", ".", ",", ":", ";", "/", "=", "?", "@",
      "'",
      "(", ")", "+", "*", "%", "#", "!", "$", "~", "[", "]", "{", "}", "|", "^":
      result.unicodeScalars.append(scalar)
    default:
      for unit in String(scalar).utf16 {
        let digits = String(unit, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      }
    }
  }
  return result + "\""
}

/// Bytes in base64, the form of digests in a Content-Security-Policy.
func base64(_ bytes: [UInt8]) -> String {
  let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  var result: [UInt8] = []
  for start in stride(from: 0, to: bytes.count, by: 3) {
    let group = bytes[start..<min(start + 3, bytes.count)]
    let padded = Array(group) + [0, 0]
    let word = Int(padded[0]) << 16 | Int(padded[1]) << 8 | Int(padded[2])
    for position in 0..<4 {
      result.append(
        position <= group.count ? digits[word >> (18 - 6 * position) & 63] : UInt8(ascii: "="))
    }
  }
  return String(decoding: result, as: UTF8.self)
}
