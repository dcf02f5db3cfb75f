import BackupFormat
import BackupTypes
import Shipping
import WriterLogic

/// A part of a server's stream as a growing file: from one full copy on, up to the next.
struct LinkLog: SourceFile, Sendable {
  let part: LinkLine.Part
  let line: LinkLine

  var name: String { part.name }
  var streamed: ShortDigest? { nil }
  func adviseSequential() {}
  func dropCache(upTo end: UInt64) {}
  func version() -> FileVersion { line.pinned(part).version }

  /// Only bytes that are not durable yet, and a few before them, can be read.
  func read(from: UInt64, to: UInt64) throws(LifeboatError) -> [UInt8] {
    guard line.part(part.pin) != nil else {
      throw LifeboatError(
        .failure, "\(name) can't be read any more",
        cause: "the server continues its history from an earlier state", isRetryable: true)
    }
    let (bytes, end) = line.bytes(from: part.start + from, to: part.start + to)
    if let bytes { return bytes }
    throw LifeboatError(
      .failure, "\(name) can't be read again from offset \(from) to \(to)",
      cause: "it came over the replication link, and is held from offset \(end) on",
      isRetryable: true)
  }
}
