import BackupTypes
import Glibc

/// Parses the full copy that a primary sends after `+FULLRESYNC`: `$<length>` or `$EOF:<mark>`, and then an
/// RDB of that length, or until the mark comes again. Before that, a primary sends single line ends as a sign
/// of life.
struct CopyTransfer {
  enum Part: Equatable {
    case content([UInt8])
    /// The copy is complete. These bytes came after it.
    case end(rest: [UInt8])
  }

  private enum State {
    case header([UInt8])
    case counted(left: UInt64)
    /// The last bytes are held back: they may be the mark.
    case marked(mark: [UInt8], held: [UInt8])
    case ended
  }

  private static let headerMax = 128
  static let markBytes = 40
  private var state = State.header([])
  /// Whether the primary sends the copy without writing it to its disk first. Its stream then begins only after
  /// an acknowledgement.
  private(set) var isDiskless = false

  mutating func consume(_ bytes: ArraySlice<UInt8>) throws(LifeboatError) -> [Part] {
    var parts: [Part] = []
    var rest = bytes
    while true {
      switch state {
      case .header(var line):
        guard let byte = rest.popFirst() else { return parts }
        if byte != UInt8(ascii: "\n") {
          line.append(byte)
          guard line.count <= CopyTransfer.headerMax else { throw wrong(line) }
          state = .header(line)
        } else if line.isEmpty || line == [UInt8(ascii: "\r")] {
          state = .header([])
        } else {
          state = try begin(line)
        }
      case .counted(let left):
        let count = Int(min(left, UInt64(rest.count)))
        if count > 0 { parts.append(.content(Array(rest.prefix(count)))) }
        rest = rest.dropFirst(count)
        guard left == UInt64(count) else {
          state = .counted(left: left - UInt64(count))
          return parts
        }
        parts.append(.end(rest: Array(rest)))
        state = .ended
      case .marked(let mark, let held):
        guard !rest.isEmpty else { return parts }
        let all = held + rest
        guard let found = CopyTransfer.find(mark, in: all) else {
          let kept = min(all.count, mark.count - 1)
          if all.count > kept { parts.append(.content(Array(all.dropLast(kept)))) }
          state = .marked(mark: mark, held: Array(all.suffix(kept)))
          return parts
        }
        if found > 0 { parts.append(.content(Array(all[..<found]))) }
        // If the primary got an acknowledgement in the meantime, it begins its stream at once.
        parts.append(.end(rest: Array(all[(found + mark.count)...])))
        state = .ended
      case .ended: return parts
      }
    }
  }

  private mutating func begin(_ line: [UInt8]) throws(LifeboatError) -> State {
    let text = String(
      decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line[...], as: UTF8.self)
    if text.hasPrefix("$EOF:") {
      let mark = Array(text.utf8.dropFirst(5))
      guard mark.count == CopyTransfer.markBytes else { throw wrong(line) }
      isDiskless = true
      return .marked(mark: mark, held: [])
    }
    guard text.hasPrefix("$"), let length = UInt64(text.dropFirst()) else { throw wrong(line) }
    return .counted(left: length)
  }

  private static func find(_ mark: [UInt8], in bytes: [UInt8]) -> Int? {
    bytes.withUnsafeBytes { bytes in
      mark.withUnsafeBytes { mark in
        var index = 0
        while index + mark.count <= bytes.count {
          let left = bytes.count - mark.count - index + 1
          guard let found = memchr(bytes.baseAddress! + index, Int32(mark[0]), left) else {
            return nil
          }
          index = UnsafeRawPointer(found) - bytes.baseAddress!
          if memcmp(found, mark.baseAddress!, mark.count) == 0 { return index }
          index += 1
        }
        return nil
      }
    }
  }

  private func wrong(_ line: [UInt8]) -> LifeboatError {
    LifeboatError(
      .failure, "the full copy starts with unknown data",
      cause: printable(String(decoding: line.prefix(80), as: UTF8.self)), isRetryable: true)
  }
}
