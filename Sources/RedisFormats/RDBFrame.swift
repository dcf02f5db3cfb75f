import CLz4
import CZstd

/// The compressed frame around a whole RDB (Valkey 9.2's `VCS` envelope). Unpacks it piece by piece, checks
/// its checksums, and ends exactly where the frame ends. Memory is bounded: a frame whose blocks or window
/// need more than 16 MiB is not read.
///
/// `@unchecked Sendable`: only one walker at a time uses the context. A copy of the walker can't continue
/// with it. `RDBWalker` checks this.
package final class RDBFrame: @unchecked Sendable {
  package enum Codec: UInt8, Sendable { case lz4 = 1, zstd = 2 }

  enum Step {
    /// Bytes used, bytes unpacked into the output, and whether the frame has ended.
    case more(used: Int, unpacked: Int, isEnd: Bool)
    case damaged(String)
    /// Reading it needs more memory than is allowed.
    case tooLarge
  }

  static let outputBytes = 64 << 10
  private static let windowLogMax: Int32 = 24
  /// The bytes of a frame's header with its magic and flags, which show its checksums.
  private static let headBytes = 5

  let codec: Codec
  private var lz4: OpaquePointer?
  private let zstd: OpaquePointer?
  private let output = UnsafeMutableRawBufferPointer.allocate(
    byteCount: RDBFrame.outputBytes, alignment: 16)
  private var head: [UInt8] = []

  init(_ codec: Codec) {
    self.codec = codec
    switch codec {
    case .lz4:
      zstd = nil
      if LZ4F_isError(LZ4F_createDecompressionContext(&lz4, UInt32(LZ4F_VERSION))) != 0 {
        lz4 = nil
      }
    case .zstd:
      zstd = ZSTD_createDCtx()
      if let zstd { ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, RDBFrame.windowLogMax) }
    }
  }

  deinit {
    if let lz4 { LZ4F_freeDecompressionContext(lz4) }
    if let zstd { ZSTD_freeDCtx(zstd) }
    output.deallocate()
  }

  /// The last `count` unpacked bytes.
  func unpacked(_ count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: output[..<count])
  }

  /// Whether the frame has a checksum of its content. If so, it was compared.
  var hasChecksum: Bool { head.count == RDBFrame.headBytes && head[4] & 4 != 0 }

  /// Unpacks what fits into the output. If the output is full, call again, even without bytes.
  func unpack(_ bytes: UnsafeRawBufferPointer) -> Step {
    if head.count < RDBFrame.headBytes {
      head += bytes.prefix(RDBFrame.headBytes - head.count)
    }
    if let lz4 { return unpackLZ4(lz4, bytes) }
    if let zstd { return unpackZstd(zstd, bytes) }
    return .tooLarge
  }

  private func unpackLZ4(_ context: OpaquePointer, _ bytes: UnsafeRawBufferPointer) -> Step {
    var (used, unpacked) = (bytes.count, output.count)
    let result = LZ4F_decompress(
      context, output.baseAddress, &unpacked, bytes.baseAddress, &used, nil)
    guard LZ4F_isError(result) == 0 else {
      return .damaged("LZ4: " + String(cString: LZ4F_getErrorName(result)))
    }
    return .more(used: used, unpacked: unpacked, isEnd: result == 0)
  }

  private func unpackZstd(_ context: OpaquePointer, _ bytes: UnsafeRawBufferPointer) -> Step {
    var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
    var room = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
    let result = ZSTD_decompressStream(context, &room, &input)
    guard ZSTD_isError(result) == 0 else {
      let code = ZSTD_getErrorCode(result)
      let isMemory =
        code == ZSTD_error_frameParameter_windowTooLarge || code == ZSTD_error_memory_allocation
      return isMemory ? .tooLarge : .damaged("zstd: " + String(cString: ZSTD_getErrorName(result)))
    }
    return .more(used: input.pos, unpacked: room.pos, isEnd: result == 0)
  }
}
