/// Decompresses the head of an LZF string, fed in arbitrary pieces: as many bytes as a blob's
/// header or a short text needs (Redis's `lzf_d.c`).
struct LZFHead: Sendable {
  private enum Step: Sendable {
    case control
    case literals(left: Int)
    case longLength(high: Int)
    case distance(length: Int, high: Int)
  }
  private var step = Step.control
  private(set) var isBroken = false

  init() {}

  /// Appends what `bytes` decompress to, until `output` holds `limit` bytes.
  mutating func decompress(
    _ bytes: UnsafeRawBufferPointer, into output: inout [UInt8], limit: Int
  ) {
    for byte in bytes {
      guard output.count < limit, !isBroken else { return }
      switch step {
      case .control:
        if byte < 32 {
          step = .literals(left: Int(byte) + 1)
        } else if byte >> 5 == 7 {
          step = .longLength(high: Int(byte & 31))
        } else {
          step = .distance(length: Int(byte >> 5) + 2, high: Int(byte & 31))
        }
      case .literals(let left):
        output.append(byte)
        step = left > 1 ? .literals(left: left - 1) : .control
      case .longLength(let high):
        step = .distance(length: 7 + Int(byte) + 2, high: high)
      case .distance(let length, let high):
        copy(length, back: high << 8 | Int(byte), within: &output, limit: limit)
        step = .control
      }
    }
  }

  private mutating func copy(
    _ length: Int, back distance: Int, within output: inout [UInt8], limit: Int
  ) {
    var from = output.count - distance - 1
    guard from >= 0 else {
      isBroken = true
      return
    }
    for _ in 0..<length where output.count < limit {
      output.append(output[from])
      from += 1
    }
  }
}
