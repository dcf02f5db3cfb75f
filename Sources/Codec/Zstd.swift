import BackupTypes
import CZstd

/// A compression context of libzstd: level 1, and a window of at most 1 MiB, so that neither side
/// needs more memory than that in addition to the data.
///
/// `@unchecked Sendable`: only one thread at a time uses the context, because `Compressor` keeps it behind a
/// `Mutex`.
final class ZstdContext: @unchecked Sendable {
  static let level: Int32 = 1
  static let windowLog: Int32 = 20

  private let context: OpaquePointer

  init() throws(LifeboatError) {
    guard let context = ZSTD_createCCtx() else {
      throw LifeboatError(.failure, "can't set up compression", cause: "out of memory")
    }
    self.context = context
    for (parameter, value) in [
      (ZSTD_c_compressionLevel, ZstdContext.level), (ZSTD_c_windowLog, ZstdContext.windowLog),
    ] {
      let result = ZSTD_CCtx_setParameter(context, parameter, value)
      guard ZSTD_isError(result) == 0 else {
        throw Zstd.failure("can't set up compression", result)
      }
    }
  }

  deinit { ZSTD_freeCCtx(context) }

  func compress(_ bytes: UnsafeRawBufferPointer, prefix: Int) throws(LifeboatError) -> [UInt8] {
    try filledArray(capacity: ZSTD_compressBound(bytes.count), prefix: prefix) {
      (output) throws(LifeboatError) -> Int in
      let result = ZSTD_compress2(
        context, output.baseAddress, output.count, bytes.baseAddress, bytes.count)
      guard ZSTD_isError(result) == 0 else { throw Zstd.failure("can't compress", result) }
      return result
    }
  }
}

enum Zstd {
  /// The first bytes of every frame (RFC 8878, 3.1.1).
  private static let magic: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]

  /// Exactly one frame, of exactly `size` bytes.
  static func decompress(
    _ bytes: UnsafeRawBufferPointer, exactly size: Int
  ) throws(LifeboatError) -> [UInt8] {
    // ZSTD_decompress also accepts several frames, skippable frames and older formats. Here, each value has
    // only one form.
    guard bytes.starts(with: magic) else {
      throw LifeboatError(.corrupt, "can't decompress", cause: "not a zstd frame")
    }
    let frame = ZSTD_findFrameCompressedSize(bytes.baseAddress, bytes.count)
    guard ZSTD_isError(frame) == 0 else { throw corrupt(frame) }
    guard frame == bytes.count else {
      throw LifeboatError(.corrupt, "can't decompress", cause: "data after the end of the frame")
    }
    // One byte more than needed, so that the pointer is never null and too much data gives a wrong count.
    return try filledArray(capacity: size + 1) { (output) throws(LifeboatError) -> Int in
      let result = ZSTD_decompress(output.baseAddress, output.count, bytes.baseAddress, bytes.count)
      guard ZSTD_isError(result) == 0 else { throw corrupt(result) }
      guard result == size else {
        throw LifeboatError(
          .corrupt, "can't decompress",
          cause: "its size is not the recorded \(counted(size, "byte"))")
      }
      return result
    }
  }

  static func failure(_ message: String, _ result: Int) -> LifeboatError {
    LifeboatError(.failure, message, cause: String(cString: ZSTD_getErrorName(result)))
  }

  private static func corrupt(_ result: Int) -> LifeboatError {
    LifeboatError(
      .corrupt, "can't decompress", cause: String(cString: ZSTD_getErrorName(result)))
  }
}
