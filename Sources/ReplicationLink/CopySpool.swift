package import BackupTypes
import SystemIO
package import SystemPackage

/// Where a full copy waits for the store. One thread writes. Another may read meanwhile what was written before.
protocol CopyStorage: Sendable {
  /// The number of bytes that can wait there.
  var bytesMax: UInt64 { get }
  /// - Parameter position: in the copy.
  func write(_ bytes: [UInt8], at position: UInt64) throws(LifeboatError)
  func read(_ count: Int, at position: UInt64) throws(LifeboatError) -> [UInt8]
}

/// A file without a name, through which a full copy passes. What the server sends faster than the store takes it
/// waits there, and not in the server.
///
/// The file is used as a ring: it holds the last `bytesMax` bytes.
package final class CopySpool: CopyStorage {
  let bytesMax: UInt64
  private let file: OpenFile

  /// A smaller one would be of no use.
  static let least: UInt64 = 8 << 20

  /// - Parameter bytesMax: nil: nine tenths of the space that is free.
  /// - Throws: if the directory is missing, can't be written to, or has no room.
  package init(in directory: FilePath, bytesMax: UInt64? = nil) throws(LifeboatError) {
    let free = try FileSystemSpace.at(directory).freeBytes
    self.bytesMax = bytesMax ?? free / 10 * 9
    guard self.bytesMax >= CopySpool.least else {
      throw LifeboatError(
        .noRoom, "\(directory) has \(humanBytes(free)) free, which is too little for a spool")
    }
    // Only a process that has it open can read it, and it is gone when the process ends.
    let name = ".lifeboat-copy-\(hexadecimal(secureRandomBytes(8)))"
    let place = try OpenDirectory(directory)
    file = try place.create(name, mode: 0o600)
    _ = try place.remove(name)
  }

  func write(_ bytes: [UInt8], at position: UInt64) throws(LifeboatError) {
    for part in parts(position, bytes.count) {
      try bytes.withUnsafeBytes { buffer in
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[part.range])
        return Result { () throws(LifeboatError) in try file.write(bytes, at: part.offset) }
      }.get()
    }
  }

  func read(_ count: Int, at position: UInt64) throws(LifeboatError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    for part in parts(position, count) {
      let found = try bytes.withUnsafeMutableBytes { buffer in
        let into = UnsafeMutableRawBufferPointer(rebasing: buffer[part.range])
        return Result { () throws(LifeboatError) in try file.read(into: into, at: part.offset) }
      }.get()
      guard found == part.range.count else {
        throw LifeboatError(.failure, "the spool of a full copy was truncated", isRetryable: true)
      }
    }
    return bytes
  }

  /// Where bytes are in the file: in one range, or in two if they go beyond its end.
  private func parts(_ position: UInt64, _ count: Int) -> [(range: Range<Int>, offset: UInt64)] {
    let start = position % bytesMax
    let first = Int(min(UInt64(count), bytesMax - start))
    return first == count
      ? [(0..<count, start)] : [(0..<first, start), (first..<count, 0)]
  }
}
