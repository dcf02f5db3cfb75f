package import BackupTypes

/// A pair (offset, time): at that time the file had reached that offset.
package struct Mark: Hashable, Sendable {
  package enum Kind: UInt8, Sendable {
    /// The file was seen with at least this length. The time is an upper bound.
    case seen = 0
    /// From a `#TS:` annotation that starts at `offset`. Everything before it was written before that second.
    case annotation = 1
  }
  package var offset: UInt64
  package var time: Instant
  package var kind: Kind

  package init(offset: UInt64, time: Instant, kind: Kind) {
    self.offset = offset
    self.time = time
    self.kind = kind
  }
}

/// The content of a log object.
///
///     0    16  nonce of the claim it was written under
///     16   4   number of marks, little endian
///     20   17n marks: offset (8), unix milliseconds (8), kind (1), by rising offset
///     20+17n   the bytes [from, to) of Redis's file
package struct LogPayload: Hashable, Sendable {
  /// The maximum number of log bytes in one object. A larger command is split over several.
  package static let bytesMax = 4 << 20
  package static let marksMax = 65_536
  package static let sizeMax = 20 + marksMax * markBytes + bytesMax
  private static let markBytes = 17

  package var nonce: Nonce
  package var marks: [Mark]
  package var bytes: [UInt8]

  package init(nonce: Nonce, marks: [Mark], bytes: [UInt8]) {
    self.nonce = nonce
    self.marks = marks
    self.bytes = bytes
  }

  package func encoded() -> [UInt8] {
    precondition(marks.count <= LogPayload.marksMax && bytes.count <= LogPayload.bytesMax)
    var content = BackupTypes.bytes(hexadecimal: nonce.hexadecimal)!
    content.reserveCapacity(20 + marks.count * LogPayload.markBytes + bytes.count)
    content += littleEndianBytes(UInt64(marks.count)).prefix(4)
    for mark in marks {
      content += littleEndianBytes(mark.offset)
      content += littleEndianBytes(UInt64(bitPattern: mark.time.milliseconds))
      content.append(mark.kind.rawValue)
    }
    content += bytes
    return content
  }

  /// Decodes the content of the object that `span` names. Safe for any input.
  package init(decoding content: [UInt8], span: LogSpan) throws(LifeboatError) {
    func broken(_ reason: String) -> LifeboatError {
      LifeboatError(.corrupt, "the log object \(span) is damaged", cause: reason)
    }
    guard content.count >= 20, let nonce = Nonce(bytes: Array(content[0..<16])) else {
      throw broken("it is truncated")
    }
    let count = Int(littleEndian(content[16..<20]))
    let start = 20 + count * LogPayload.markBytes
    guard count <= LogPayload.marksMax, content.count >= start,
      UInt64(content.count - start) == span.count
    else { throw broken("its size does not match its name") }
    var marks: [Mark] = []
    marks.reserveCapacity(count)
    for index in 0..<count {
      let at = 20 + index * LogPayload.markBytes
      let offset = littleEndian(content[at..<at + 8])
      let time = Int64(bitPattern: littleEndian(content[at + 8..<at + 16]))
      guard let kind = Mark.Kind(rawValue: content[at + 16]), offset >= span.from,
        offset <= span.to, offset >= (marks.last?.offset ?? 0)
      else { throw broken("its marks are damaged") }
      marks.append(Mark(offset: offset, time: Instant(milliseconds: time), kind: kind))
    }
    self.init(nonce: nonce, marks: marks, bytes: Array(content[start...]))
  }
}
