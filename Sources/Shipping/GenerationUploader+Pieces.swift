import BackupFormat
import BackupTypes
import ObjectStorage
import RepositoryAccess
import Synchronization
import SystemIO

/// The stages of an upload. Pieces are read and checked one after the other. Each is then compressed, and
/// sent as soon as that is done. Only a budget of bytes limits how many pieces are in memory.
extension GenerationUploader {
  /// The memory of a piece until it is sealed: its bytes, and the largest object that they can become. A
  /// piece that an earlier upload left is read back. It needs memory for its object, sealed and opened, and
  /// for its content.
  private static func cost(isContinued: Bool, in bound: MemoryBound) -> Int {
    max((isContinued ? 4 : 2) * MemoryBound.objectBytes, bound.transferBytes)
  }

  /// Returns the digests of the pieces, in order, and their size. The first error cancels the other pieces.
  /// - Parameter size: nil: up to the end of the file.
  func sendPieces(
    _ file: any SourceFile, size: UInt64?, id: GenerationID, existing: Set<String>,
    _ check: inout GenerationCheck
  ) async throws -> (digests: [Digest], size: UInt64) {
    let bound = MemoryBound.current
    let gate = BudgetGate(capacity: bound.objectsBytes)
    let cost = GenerationUploader.cost(isContinued: !existing.isEmpty, in: bound)
    let first = FirstError()
    var digests: [Digest] = []
    var pace = size == nil ? nil : ReadPace(limit: settings.readLimit)
    // A server keeps memory for a copy while it sends it. So the copy is not read by the threads of the pool,
    // which have idle priority.
    let pool = size == nil ? nil : settings.computing
    var position: UInt64 = 0
    do {
      // In a discarding group, an error of a child cancels the others at once.
      try await withThrowingDiscardingTaskGroup { group in
        try await first.noting {
          var isWhole = false
          while !isWhole, size.map({ position < $0 }) ?? true {
            let hold = try await gate.take(cost)
            guard !group.isCancelled else { throw CancellationError() }
            let most = position + UInt64(GenerationIndex.pieceBytes)
            let wanted = min(most, size ?? most)
            let (bytes, digest) = try await computing(on: pool) {
              let bytes =
                size == nil
                ? try await next(file, from: position, to: wanted, &check)
                : try await read(file, from: position, to: wanted, &check, &pace)
              return (bytes, repository.frame.digest(bytes))
            }
            let end = position + UInt64(bytes.count)
            isWhole = end < wanted
            if bytes.isEmpty { break }
            let name = ObjectPath.piece(id, number: digests.count, digest.short)
            digests.append(digest)
            let piece = Piece(bytes, name: name, digest: digest)
            let isThere = existing.contains(name.text)
            group.addTask {
              try await first.noting {
                try await send(piece, hold, bound, pool, isThere: isThere)
              }
            }
            position = end
            file.dropCache(upTo: position)
          }
        }
      }
    } catch { throw first.value ?? error }
    return (digests, position)
  }

  /// The next piece of a copy whose size is not known; shorter only at its end.
  private func next(
    _ file: any SourceFile, from: UInt64, to: UInt64, _ check: inout GenerationCheck
  ) async throws -> [UInt8] {
    let bytes = try await file.read(from: from, to: to)
    bytes.withUnsafeBytes { check.consume($0) }
    if let reason = check.brokenEarly { throw Broken(reason: reason) }
    return bytes
  }

  private func read(
    _ file: any SourceFile, from: UInt64, to: UInt64, _ check: inout GenerationCheck,
    _ pace: inout ReadPace?
  ) async throws -> [UInt8] {
    guard let step = pace?.step else {
      let bytes = try await file.whole(from: from, to: to)
      bytes.withUnsafeBytes { check.consume($0) }
      if let reason = check.brokenEarly { throw Broken(reason: reason) }
      return bytes
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(bulkCapacity(Int(to - from)))
    var position = from
    while position < to {
      let end = min(position + step, to)
      let wait = pace?.wait(end - position, now: settings.time.monotonic) ?? 0
      if wait > 0 { try await settings.time.sleep(milliseconds: wait) }
      let part = try await file.whole(from: position, to: end)
      part.withUnsafeBytes { check.consume($0) }
      if let reason = check.brokenEarly { throw Broken(reason: reason) }
      bytes += part
      position = end
    }
    return bytes
  }

  private func send(
    _ piece: Piece, _ hold: BudgetGate.Hold, _ bound: MemoryBound, _ pool: BlockingPool?,
    isThere: Bool
  ) async throws {
    defer { hold.shrink(to: 0) }
    if isThere, try await isKept(piece.name, piece.digest, count: piece.count) { return }
    let object = try await computing(on: pool) {
      let sealed = try repository.frame.seal(
        piece.take(), kind: .piece, name: piece.name, digest: piece.digest)
      return heldAtOwnSize(sealed)
    }
    hold.shrink(to: max(object.capacity, bound.transferBytes))
    _ = try await repository.store.create(piece.name.text, object)
    progress(UInt64(piece.count))
  }

  private func computing<Value>(
    on pool: BlockingPool?, _ work: () async throws -> Value
  ) async throws -> Value {
    guard let pool else { return try await work() }
    return try await withTaskExecutorPreference(pool) { try await work() }
  }

  /// Holds the bytes of a piece until they are sealed. While the object is uploaded, nothing holds them any
  /// more.
  private final class Piece: Sendable {
    let name: ObjectPath
    let digest: Digest
    let count: Int
    private let bytes: Mutex<[UInt8]>

    init(_ bytes: [UInt8], name: ObjectPath, digest: Digest) {
      self.name = name
      self.digest = digest
      count = bytes.count
      self.bytes = Mutex(bytes)
    }

    func take() -> [UInt8] {
      bytes.withLock { bytes in
        defer { bytes = [] }
        return bytes
      }
    }
  }

  /// Whether a piece of an earlier upload exists, with the right size and digest. A wrong one is deleted, so
  /// that it can be written again.
  private func isKept(_ name: ObjectPath, _ digest: Digest, count: Int) async throws -> Bool {
    let reading = try await repository.reading(
      name, kind: .piece, limit: GenerationIndex.pieceBytes, progress: { _ in })
    if case .gone = reading { return false }
    if case .content(let opened) = reading, opened.content.count == count,
      (opened.digest ?? repository.frame.digest(opened.content)) == digest
    {
      return true
    }
    if let error = try await repository.store.delete([name.text])[name.text] { throw error }
    return false
  }
}
