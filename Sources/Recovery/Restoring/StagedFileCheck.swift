import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import RepositoryAccess

/// Checks a restored file as a whole while it streams. A file that Redis would refuse is found here, before
/// the target is changed.
struct StagedFileCheck {
  private enum Reader {
    /// Not checked: bytes that we made ourselves, or a copy of a checked file.
    case none
    case generation(GenerationCheck)
    case log(AOFScanner)
  }
  private var reader: Reader
  private var consumed: UInt64 = 0

  /// Keys of a full copy that had expired by the time that was given.
  private(set) var expired: UInt64 = 0
  /// A node of a cluster wrote it.
  private(set) var hasSlots = false

  /// - Parameter now: keys that have expired by then are counted.
  init(_ content: RestorePlan.Content, now: Instant) {
    switch content {
    case .generation(let index):
      reader = .generation(GenerationCheck(kind: index.kind, expiredBy: now))
    case .log, .stream: reader = .log(AOFScanner())
    case .bytes, .same: reader = .none
    }
  }

  /// The next bytes of the file.
  mutating func consume(_ bytes: UnsafeRawBufferPointer) {
    consumed += UInt64(bytes.count)
    switch reader {
    case .none: return
    case .generation(var check):
      reader = .none  // so that the check is not copied
      check.consume(bytes)
      reader = .generation(check)
    case .log(var scanner):
      reader = .none
      if scanner.fault == nil { scanner.consume(bytes) }
      reader = .log(scanner)
    }
  }

  /// What is wrong with the file of `size` bytes; nil if nothing is. Call this once, at the end.
  mutating func finish(size: UInt64) -> String? {
    guard consumed == size else {
      return "its parts have \(counted(consumed, "byte")), not \(size)"
    }
    switch reader {
    case .none: return nil
    case .generation(var check):
      expired = check.expired
      let end = check.finish()
      hasSlots = end.summary?.hasSlots ?? false
      guard case .broken(let reason) = end.verdict else { return nil }
      return reason
    case .log(let scanner):
      if let fault = scanner.fault { return "\(fault.reason) at offset \(fault.offset)" }
      guard scanner.boundary == consumed else {
        return "it ends inside a command, at offset \(scanner.boundary)"
      }
      return nil
    }
  }
}
