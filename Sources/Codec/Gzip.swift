import BackupTypes
import CZlib

/// gzip (RFC 1952) through zlib, one member, level 1: for people who want to read a repository with standard
/// tools.
enum Gzip {
  private static let level: Int32 = 1
  /// A window of 2^15 bytes. Adding 16 selects gzip's header and trailer.
  private static let windowBits: Int32 = 15 + 16
  private static let memoryLevel: Int32 = 8

  static func compress(_ bytes: UnsafeRawBufferPointer, prefix: Int) throws(LifeboatError)
    -> [UInt8]
  {
    guard let inputCount = uInt(exactly: bytes.count) else { throw tooLarge(bytes.count) }
    var stream = z_stream()
    let start = deflateInit2_(
      &stream, level, Z_DEFLATED, windowBits, memoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      Int32(MemoryLayout<z_stream>.size))
    guard start == Z_OK else { throw failure("can't set up compression", start) }
    defer { deflateEnd(&stream) }
    let bound = Int(deflateBound(&stream, uLong(bytes.count)))
    return try filledArray(capacity: bound, prefix: prefix) {
      (output) throws(LifeboatError) -> Int in
      guard let outputCount = uInt(exactly: output.count) else { throw tooLarge(bytes.count) }
      stream.next_in = input(bytes)
      stream.avail_in = inputCount
      stream.next_out = output.baseAddress!.assumingMemoryBound(to: Bytef.self)
      stream.avail_out = outputCount
      let result = deflate(&stream, Z_FINISH)
      guard result == Z_STREAM_END else { throw failure("can't compress", result) }
      return Int(stream.total_out)
    }
  }

  /// Exactly one member, of exactly `size` bytes, with its CRC-32 and length checked by zlib.
  static func decompress(
    _ bytes: UnsafeRawBufferPointer, exactly size: Int
  ) throws(LifeboatError) -> [UInt8] {
    guard let inputCount = uInt(exactly: bytes.count) else { throw tooLarge(bytes.count) }
    guard let outputCount = uInt(exactly: size + 1) else { throw tooLarge(size) }
    var stream = z_stream()
    let start = inflateInit2_(
      &stream, windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard start == Z_OK else { throw failure("can't set up decompression", start) }
    defer { inflateEnd(&stream) }
    // One byte more than needed, so that the pointer is never null and too much data gives a wrong count.
    return try filledArray(capacity: size + 1) { (output) throws(LifeboatError) -> Int in
      stream.next_in = input(bytes)
      stream.avail_in = inputCount
      stream.next_out = output.baseAddress!.assumingMemoryBound(to: Bytef.self)
      stream.avail_out = outputCount
      let result = inflate(&stream, Z_FINISH)
      guard result == Z_STREAM_END else {
        if result == Z_MEM_ERROR { throw failure("can't decompress", result) }
        throw corrupt(result == Z_BUF_ERROR ? "truncated, or larger than recorded" : "damaged")
      }
      guard stream.avail_in == 0 else { throw corrupt("data after the end") }
      guard Int(stream.total_out) == size else {
        throw corrupt("its size is not the recorded \(counted(size, "byte"))")
      }
      return size
    }
  }

  /// zlib's input pointer is mutable for historical reasons only. Nothing is written through it.
  private static func input(_ bytes: UnsafeRawBufferPointer) -> UnsafeMutablePointer<Bytef>? {
    UnsafeMutablePointer(mutating: bytes.baseAddress?.assumingMemoryBound(to: Bytef.self))
  }

  private static func corrupt(_ cause: String) -> LifeboatError {
    LifeboatError(.corrupt, "can't decompress", cause: cause)
  }

  private static func failure(_ message: String, _ result: Int32) -> LifeboatError {
    LifeboatError(.failure, message, cause: "zlib error \(result)")
  }

  private static func tooLarge(_ count: Int) -> LifeboatError {
    LifeboatError(.corrupt, "\(counted(count, "byte")) are too many for one gzip member")
  }
}
