/// Decodes an LZF string, which arrives in arbitrary pieces. A string is broken if a server says so (Redis's
/// `lzf_d.c`): a copy from before the beginning, more or fewer bytes than announced, or an end in the middle
/// of an instruction.
///
/// The lengths and distances alone decide this. So a string whose content is not needed is checked without
/// decompressing it. Otherwise the output goes through an `LZFWindow`.
struct LZFDecoder: Sendable {
  private enum Step: Sendable { case control, literals, longLength, distance }
  private var step = Step.control
  /// The remaining bytes of the current instruction.
  private var count = 0
  private var distance = 0
  private var produced: UInt64 = 0
  /// The announced size. A server does not check the encoding of an empty string.
  private let size: UInt64
  private var isBroken = false

  init(size: UInt64) { self.size = size }

  /// Whether the bytes so far are a complete string.
  var isComplete: Bool { size == 0 || !isBroken && step == .control && produced == size }

  /// Decodes until the input is used up or `output` is full. Returns the bytes used.
  @inline(__always)
  fileprivate mutating func decode(
    _ input: UnsafeRawBufferPointer, into output: inout some LZFOutput
  ) -> Int {
    guard size > 0, !isBroken, let base = input.baseAddress else { return input.count }
    var index = 0
    while index < input.count, output.hasRoom {
      if step == .control, input.count &- index > LZFDecoder.lookahead {
        // The instruction is complete.
        let byte = Int(input[index])
        if byte < 32 {
          guard grow(byte &+ 1) else { return input.count }
          output.append(base + (index &+ 1), byte &+ 1)
          index &+= byte &+ 2
        } else {
          var length = byte >> 5 &+ 2
          var next = index &+ 1
          if length == 9 {
            length &+= Int(input[next])
            next &+= 1
          }
          let back = (byte & 31) << 8 &+ Int(input[next]) &+ 1
          guard reaches(back), grow(length) else { return input.count }
          output.copy(length, from: back)
          index = next &+ 1
        }
        continue
      }
      switch step {
      case .control:
        let byte = Int(input[index])
        index &+= 1
        if byte < 32 {
          count = byte &+ 1
          guard grow(count) else { return input.count }
          step = .literals
        } else {
          count = byte >> 5 &+ 2
          distance = (byte & 31) << 8
          step = count == 9 ? .longLength : .distance
        }
      case .literals:
        let end = min(input.count, index &+ count)
        output.append(UnsafeRawBufferPointer(rebasing: input[index..<end]))
        count &-= end &- index
        index = end
        if count == 0 { step = .control }
      case .longLength:
        count &+= Int(input[index])
        index &+= 1
        step = .distance
      case .distance:
        let back = distance &+ Int(input[index]) &+ 1
        index &+= 1
        guard reaches(back), grow(count) else { return input.count }
        output.copy(count, from: back)
        step = .control
      }
    }
    return index
  }

  /// More bytes than any instruction has.
  private static let lookahead = 40

  @inline(__always)
  private mutating func reaches(_ back: Int) -> Bool {
    if UInt64(back) > produced { isBroken = true }
    return !isBroken
  }

  @inline(__always)
  private mutating func grow(_ count: Int) -> Bool {
    produced &+= UInt64(count)
    if produced > size { isBroken = true }
    return !isBroken
  }

  /// Checks the input without decompressing it.
  mutating func check(_ input: UnsafeRawBufferPointer) {
    var output = NoOutput()
    _ = decode(input, into: &output)
  }
}

private protocol LZFOutput {
  /// Whether there is room for the output of any instruction.
  var hasRoom: Bool { get }
  mutating func append(_ bytes: UnsafeRawBufferPointer)
  /// Appends at most 32 bytes. As many more can be read after them.
  mutating func append(_ bytes: UnsafeRawPointer, _ count: Int)
  /// Repeats `count` bytes from `distance` bytes back. The source may overlap the output.
  mutating func copy(_ count: Int, from distance: Int)
}

private struct NoOutput: LZFOutput {
  var hasRoom: Bool { true }
  func append(_ bytes: UnsafeRawBufferPointer) {}
  func append(_ bytes: UnsafeRawPointer, _ count: Int) {}
  func copy(_ count: Int, from distance: Int) {}
}

/// The streamed output of an `LZFDecoder`, with the previous 8 KiB that a copy may refer to.
struct LZFWindow: Sendable {
  private static let reach = 1 << 13
  private static let size = 1 << 16
  /// The longest output of one instruction (264 bytes), and 16 bytes that a copy may write past its end.
  private static let margin = 264 + 16

  /// Allocated when first used.
  private var bytes: [UInt8] = []
  private var freshStart = 0
  private var end = 0

  private struct Cursor: LZFOutput {
    let base: UnsafeMutableRawPointer
    var end: Int

    var hasRoom: Bool { end &+ LZFWindow.margin <= LZFWindow.size }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
      UnsafeMutableRawBufferPointer(start: base + end, count: bytes.count).copyMemory(from: bytes)
      end &+= bytes.count
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawPointer, _ count: Int) {
      block(from: bytes, to: base + end)
      block(from: bytes + 16, to: base + (end &+ 16))
      end &+= count
    }

    @inline(__always)
    mutating func copy(_ count: Int, from distance: Int) {
      let target = base + end
      let source = target - distance
      var index = 0
      if distance >= 16 {
        while index < count {
          block(from: source + index, to: target + index)
          index &+= 16
        }
      } else {
        while index < count {
          target.storeBytes(
            of: source.load(fromByteOffset: index, as: UInt8.self), toByteOffset: index,
            as: UInt8.self)
          index &+= 1
        }
      }
      end &+= count
    }

    @inline(__always)
    private func block(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer) {
      target.storeBytes(
        of: source.loadUnaligned(as: SIMD16<UInt8>.self), as: SIMD16<UInt8>.self)
    }
  }

  /// Prepares for another string.
  mutating func reset() {
    freshStart = 0
    end = 0
  }

  /// Decodes until the input is used up or the window is full. Returns the bytes used.
  mutating func decode(_ input: UnsafeRawBufferPointer, with decoder: inout LZFDecoder) -> Int {
    if bytes.isEmpty { bytes = [UInt8](repeating: 0, count: LZFWindow.size) }
    return bytes.withUnsafeMutableBytes { bytes in
      guard let base = bytes.baseAddress else { return input.count }
      var cursor = Cursor(base: base, end: end)
      let used = decoder.decode(input, into: &cursor)
      end = cursor.end
      return used
    }
  }

  /// Passes on the output since the last call, and makes room for more.
  mutating func drain(into packed: inout PackedCheck?, _ capture: inout RDBCapture) {
    bytes.withUnsafeBytes { bytes in
      let fresh = UnsafeRawBufferPointer(rebasing: bytes[freshStart..<end])
      packed?.take(fresh)
      capture.take(fresh)
    }
    makeRoom()
  }

  mutating func drain(into output: inout [UInt8]) {
    output += bytes[freshStart..<end]
    makeRoom()
  }

  private mutating func makeRoom() {
    if end > LZFWindow.size / 2 {
      let kept = end &- LZFWindow.reach..<end
      bytes.withUnsafeMutableBytes {
        $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0)[kept]))
      }
      end = LZFWindow.reach
    }
    freshStart = end
  }
}

extension LZFDecoder {
  /// Decodes a complete string; nil if it is broken.
  static func decode(_ input: [UInt8], size: Int) -> [UInt8]? {
    var decoder = LZFDecoder(size: UInt64(size))
    var window = LZFWindow()
    var output: [UInt8] = []
    var used = 0
    while used < input.count {
      used += input.withUnsafeBytes {
        window.decode(UnsafeRawBufferPointer(rebasing: $0[used...]), with: &decoder)
      }
      window.drain(into: &output)
    }
    return decoder.isComplete ? output : nil
  }
}
