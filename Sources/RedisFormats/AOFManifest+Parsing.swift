extension AOFManifest {
  /// The maximum length of a line in bytes, including the LF.
  private static let lineMax = 1024

  /// Refuses what Redis refuses, and names that we could not open or restore: empty, `.`, `..`, with NUL, or
  /// not UTF-8. Like Redis 7.0 to 8.2 and Valkey 9.1 (tested), it accepts a comment without LF at the end of
  /// the file.
  package init(parsing bytes: [UInt8]) throws(AOFManifestFault) {
    guard !bytes.isEmpty else {
      throw AOFManifestFault(line: 1, reason: "the manifest is empty", isEmpty: true)
    }
    var reader = Reader()
    var rest = bytes[...]
    while !rest.isEmpty {
      reader.line += 1
      let isComment = rest.first == UInt8(ascii: "#")
      guard let end = rest.prefix(AOFManifest.lineMax).firstIndex(of: 0x0a) else {
        if isComment, rest.count < AOFManifest.lineMax { break }
        throw reader.fault(
          rest.count < AOFManifest.lineMax
            ? "the last line does not end in LF" : "a line is longer than 1024 bytes")
      }
      if !isComment { try reader.read(rest[..<end]) }
      rest = rest[(end + 1)...]
    }
    self.init(entries: reader.entries)
  }
}

private struct Reader {
  var line = 0
  var entries: [AOFManifest.Entry] = []
  private var hasBase = false
  private var lastIncrement: Int64 = 0

  init() {}

  func fault(_ reason: String) -> AOFManifestFault { AOFManifestFault(line: line, reason: reason) }

  mutating func read(_ text: ArraySlice<UInt8>) throws(AOFManifestFault) {
    let entry = try entry(text)
    switch entry.kind {
    case .base:
      guard !hasBase else { throw fault("a second base") }
      hasBase = true
    case .increment:
      guard entry.sequence > lastIncrement else {
        throw fault("the increments' sequence numbers do not increase")
      }
      lastIncrement = entry.sequence
    case .history: break
    }
    entries.append(entry)
  }

  private func entry(_ text: ArraySlice<UInt8>) throws(AOFManifestFault) -> AOFManifest.Entry {
    guard !text.contains(0) else { throw fault("a NUL byte") }
    guard !text.allSatisfy(isSpace) else { throw fault("a blank line") }
    guard let tokens = splitArguments(text) else { throw fault("unbalanced quotes") }
    guard tokens.count.isMultiple(of: 2) else { throw fault("a key without its value") }
    guard tokens.count >= 6 else { throw fault("file, seq or type is missing") }
    var file: String?
    var sequence: Int64?
    var kind: AOFManifest.Entry.Kind?
    var isClosed = false
    for index in stride(from: 0, to: tokens.count, by: 2) {
      let value = tokens[index + 1]
      switch String(decoding: lowercased(tokens[index]), as: UTF8.self) {
      case "file": file = try name(value)
      case "seq": sequence = try number(value)
      case "type": kind = try type(value)
      case "endoffset": isClosed = true
      default: break  // Later versions add keys; every version ignores those it does not know.
      }
    }
    guard let file, let sequence, let kind else {
      throw fault("file, seq or type is missing")
    }
    return AOFManifest.Entry(file: file, sequence: sequence, kind: kind, isClosed: isClosed)
  }

  private func name(_ value: [UInt8]) throws(AOFManifestFault) -> String {
    // Redis also takes a backslash for a path separator (tested with 7.0.15, 8.2.3, Valkey 9.1.2).
    guard !value.contains(UInt8(ascii: "/")), !value.contains(UInt8(ascii: "\\")) else {
      throw fault("a file name is a path; it must be a bare name")
    }
    guard !value.contains(0) else { throw fault("a file name contains a NUL byte") }
    guard let name = String(validating: value, as: UTF8.self) else {
      throw fault("a file name is not valid UTF-8, which Lifeboat does not support")
    }
    guard !name.isEmpty, name != ".", name != ".." else { throw fault("a file has no name") }
    return name
  }

  /// Reads a number as C's `atoll` does: white space, a sign, digits. Anything after that is ignored, and a
  /// number that is too large becomes the largest one.
  private func number(_ value: [UInt8]) throws(AOFManifestFault) -> Int64 {
    var rest = value.drop(while: isSpace)
    let isNegative = rest.first == UInt8(ascii: "-")
    if isNegative || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
    let digits = rest.prefix { $0 >= 48 && $0 <= 57 }
    let text = (isNegative ? "-" : "") + String(decoding: digits, as: UTF8.self)
    let number = digits.isEmpty ? 0 : Int64(text) ?? (isNegative ? .min : .max)
    guard number != 0 else { throw fault("the sequence number is 0 or not a number") }
    return number
  }

  private func type(_ value: [UInt8]) throws(AOFManifestFault) -> AOFManifest.Entry.Kind {
    switch value.first {
    case UInt8(ascii: "b"): return .base
    case UInt8(ascii: "h"): return .history
    case UInt8(ascii: "i"): return .increment
    default: throw fault("unknown file type")
    }
  }
}
