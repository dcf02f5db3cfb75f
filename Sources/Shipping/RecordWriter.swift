package import BackupFormat
import BackupTypes
import Codec
import ObjectStorage
package import RepositoryAccess
import SystemIO
import WriterLogic

/// Performs the actions of the record lane, one at a time.
package struct RecordWriter: Sendable {
  /// Another writer owns the repository now.
  package struct Superseded: Error, Sendable {
    package var reason: String
  }

  private let repository: Repository
  private let claim: Claim
  private let checksOwnClaim: Bool

  /// - Parameter checksOwnClaim: the store does not refuse a second creation, so another shipper may have
  ///   overwritten our claim.
  package init(repository: Repository, claim: Claim, checksOwnClaim: Bool) {
    self.repository = repository
    self.claim = claim
    self.checksOwnClaim = checksOwnClaim
  }

  /// Writes [from, to) of a followed file; returns the object's name. The bytes are read once: a retry
  /// sends the same.
  func write(_ shipment: LogShipment, _ file: any SourceFile) async throws -> LogSpan {
    let bytes = try await file.whole(from: shipment.from, to: shipment.to)
    let span = LogSpan(
      from: shipment.from, to: shipment.to, mark: shipment.mark,
      digest: repository.frame.digest(bytes).short)
    try await put(span, ordinal: shipment.ordinal, marks: shipment.marks, bytes: bytes)
    return span
  }

  /// Writes the object that covers several. Before that, its bytes are checked against the digests of the
  /// objects it replaces.
  /// - Parameter readsBack: whether bytes that the file no longer has are read from the repository.
  func write(_ fold: FoldGatherer.Fold, _ file: any SourceFile, readsBack: Bool) async throws {
    let bytes =
      readsBack
      ? try await bytes(of: fold, file) : try await file.whole(from: fold.from, to: fold.to)
    for part in fold.parts {
      let range = Int(part.from - fold.from)..<Int(part.to - fold.from)
      let digest = bytes.withUnsafeBytes {
        repository.frame.digest(UnsafeRawBufferPointer(rebasing: $0[range]))
      }
      guard digest.short == part.digest else {
        throw LifeboatError(
          .corrupt, "\(file.name) differs at offset \(part.from) from the bytes that were uploaded")
      }
    }
    let span = LogSpan(
      from: fold.from, to: fold.to, mark: fold.parts.last?.mark,
      digest: repository.frame.digest(bytes).short)
    try await put(span, ordinal: fold.ordinal, marks: fold.marks, bytes: bytes)
  }

  private func bytes(of fold: FoldGatherer.Fold, _ file: any SourceFile) async throws -> [UInt8] {
    if let held = try? await file.whole(from: fold.from, to: fold.to) { return held }
    var bytes: [UInt8] = []
    for part in fold.parts {
      let name = ObjectPath.log(claim.timeline, ordinal: fold.ordinal, part)
      guard
        let content = try await repository.content(name, kind: .log, limit: LogPayload.sizeMax)
      else { throw LifeboatError(.corrupt, "the object \(name.text) is missing") }
      bytes += try LogPayload(decoding: content, span: part).bytes
    }
    return bytes
  }

  private func put(_ span: LogSpan, ordinal: Int, marks: [Mark], bytes: [UInt8]) async throws {
    let payload = LogPayload(nonce: claim.nonce, marks: marks, bytes: bytes)
    try await repository.createContent(
      payload.encoded(), .log(claim.timeline, ordinal: ordinal, span), kind: .log)
  }

  /// Checks first whether another shipper has claimed (the invariant "one history").
  func write(_ snapshot: Snapshot) async throws {
    try await checkFence()
    let name = ObjectPath.snapshot(snapshot.timeline, sequence: snapshot.sequence)
    guard try await repository.create(snapshot, name, kind: .snapshot) == .created else {
      throw Superseded(reason: "another process wrote \(name.text)")
    }
  }

  func write(_ operation: GuardRecord) async throws {
    switch operation {
    case .pin(let pin):
      _ = try await repository.create(pin, .operation(.pins, id: pin.id), kind: .operation)
    case .release(let release):
      _ = try await repository.create(
        release, .operation(.releases, id: release.pin), kind: .operation)
    }
  }

  /// Deletes objects that a fold replaced long ago. Deletes nothing once another shipper has claimed. That
  /// shipper may have listed the repository before the fold existed, and for every reader this timeline ends
  /// where that listing ended.
  package func remove(_ names: [String]) async throws {
    try await checkFence()
    _ = try await repository.store.delete(names)
  }

  func checkFence() async throws {
    if checksOwnClaim { try await checkOwnClaim() }
    guard let next = claim.timeline.next,
      try await repository.store.has(
        ObjectPath.claim(next).text, limit: ObjectKind.claim.objectBytesMax)
    else { return }
    let successor = try? await repository.claim(next)
    throw Superseded(
      reason: successor.map {
        "timeline \(next) was claimed by \(printable($0.source)) (instance \(printable($0.instance)))"
      } ?? "timeline \(next) was claimed, by a claim that can't be read")
  }

  private func checkOwnClaim() async throws {
    let found = try await repository.claim(claim.timeline)
    guard found.nonce != claim.nonce else { return }
    throw Superseded(
      reason: "the claim of timeline \(claim.timeline) was overwritten by"
        + " \(printable(found.source)) (instance \(printable(found.instance)))")
  }
}
