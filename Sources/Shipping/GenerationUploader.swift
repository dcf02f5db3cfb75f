import Auditing
package import BackupFormat
package import BackupTypes
import HistoryLogic
import ObjectStorage
import RedisFormats
package import RepositoryAccess
package import SystemIO
package import WriterLogic

/// Reads a dump or BASE once, checks it, and writes it as pieces and an index.
///
/// When it returns, every piece and then the index is durable. When it throws, some pieces may exist; the
/// next attempt under the same claim uses them again.
package struct GenerationUploader: Sendable {
  /// The file failed its checks: it can never become a restore point.
  package struct Broken: Error, Sendable {
    package var reason: String
  }

  package struct Settings: Sendable {
    /// How many bytes a second are read next to a running server; nil: no limit.
    package var readLimit: UInt64?
    /// The threads that read, check, hash and compress; nil: those of the caller.
    package var computing: BlockingPool?
    package var time: any TimeSource
    package init(readLimit: UInt64?, computing: BlockingPool? = nil, time: any TimeSource) {
      self.readLimit = readLimit
      self.computing = computing
      self.time = time
    }
  }

  package let repository: Repository
  package let claim: Claim
  package let settings: Settings
  /// Generations of the parent's last snapshot, which may be reused.
  package let reusable: [ShortDigest: GenerationID]
  /// The nonces of claims that may have left an upload unfinished, newest first.
  package let unfinished: [Nonce]
  package let quarantined: Set<GenerationID>
  package let progress: @Sendable (_ bytes: UInt64) -> Void

  package init(
    repository: Repository, claim: Claim, settings: Settings,
    reusable: [ShortDigest: GenerationID], unfinished: [Nonce],
    quarantined: Set<GenerationID> = [], progress: @escaping @Sendable (UInt64) -> Void
  ) {
    self.repository = repository
    self.claim = claim
    self.settings = settings
    self.reusable = reusable
    self.unfinished = unfinished
    self.quarantined = quarantined
    self.progress = progress
  }

  package func upload(_ upload: GenerationUpload, _ file: any SourceFile) async throws
    -> GenerationResult
  {
    let before = try await file.version()
    do {
      let result = try await read(upload, file, size: before.size)
      let after = try await file.version()
      // The file changed during the upload: somebody copies or overwrites it. So the bytes that were read are
      // not a state of Redis.
      guard after.size == before.size, after.modified == before.modified else {
        throw Broken(reason: "it changed while it was read")
      }
      repository.acknowledged?.matched(after, result.index.generation)
      return result
    } catch let error as Broken {
      repository.acknowledged?.refused(
        before, "\(upload.file.name) is damaged and was not backed up: \(error.reason)")
      throw error
    }
  }

  private static let openingBytes: UInt64 = 64 << 10

  private func read(_ upload: GenerationUpload, _ file: any SourceFile, size: UInt64) async throws
    -> GenerationResult
  {
    if let name = file.streamed { return try await stream(upload, file, name) }
    guard size > 0 || upload.kind == .base else { throw Broken(reason: "it is empty") }
    // A fingerprint can need the whole file, which can be sparse and of any size.
    var opening = GenerationCheck(kind: upload.kind)
    try await file.whole(from: 0, to: min(size, GenerationUploader.openingBytes))
      .withUnsafeBytes { opening.consume($0) }
    if let reason = opening.brokenEarly { throw Broken(reason: reason) }
    let fingerprint = try await Fingerprint.of(file, size: size, frame: repository.frame)
    if let known = reusable[fingerprint], !quarantined.contains(known),
      let index = try? await repository.index(known), index.size == size,
      try await isSound(index)
    {
      repository.acknowledged?.stored(.index(known))
      return GenerationResult(index: index)
    }
    let (id, existing) = try await identify(fingerprint)
    return try await write(upload, file, size: size, id: id, existing: existing)
  }

  /// A full copy that comes over a link can be read only once. It may have been uploaded under the last
  /// claim, which ended before a snapshot named the copy.
  private func stream(_ upload: GenerationUpload, _ file: any SourceFile, _ name: ShortDigest)
    async throws -> GenerationResult
  {
    for nonce in unfinished.prefix(1) + [claim.nonce] {
      let id = GenerationID(fingerprint: name, nonce: nonce)
      guard !quarantined.contains(id), let index = try? await repository.index(id),
        try await isSound(index)
      else { continue }
      repository.acknowledged?.stored(.index(id))
      return GenerationResult(index: index)
    }
    let id = GenerationID(fingerprint: name, nonce: claim.nonce)
    return try await write(upload, file, size: nil, id: id, existing: [])
  }

  /// Whether every piece of a complete generation exists and has the right digest. This is checked before the
  /// generation becomes part of another restore point.
  private func isSound(_ index: GenerationIndex) async throws -> Bool {
    do {
      try await GenerationStream(repository: repository, index: index).run { _ in }
      return true
    } catch let error as LifeboatError where error.isDamage { return false }
  }

  /// The id to write under, and the pieces that exist already. An unfinished upload of the direct parent's
  /// claim is continued for some days, and one of a claim before it for some hours, since retention deletes
  /// both later. For example, a shipper uploads 40 of 50 GiB and is killed, and the next one is killed right
  /// after its claim: the third continues at 40 GiB. A complete generation that no snapshot names is an
  /// orphan. A complete generation of this claim has been replaced by a newer one, and retention may be
  /// deleting it.
  private func identify(_ fingerprint: ShortDigest) async throws -> (GenerationID, Set<String>) {
    for nonce in unfinished + [claim.nonce] {
      let id = GenerationID(fingerprint: fingerprint, nonce: nonce)
      if quarantined.contains(id) { continue }
      var names: Set<String> = []
      var written: Instant?
      var token: String?
      repeat {
        let page = try await repository.store.list(
          prefix: ObjectPath.generation(id), continuing: token)
        names.formUnion(page.entries.map(\.name))
        written = (page.entries.map(\.modified) + [written].compactMap { $0 }).max()
        token = page.next
      } while token != nil
      let isComplete = names.contains(ObjectPath.index(id).text)
      var isOld = false
      if let written {
        let now = try await repository.store.now() ?? SystemClock.now()
        isOld = now.since(written) > limit(id)
      }
      if nonce == claim.nonce, isComplete || isOld {
        throw LifeboatError(
          .failure, "the full copy \(id) was uploaded before, and has been replaced since",
          cause: "the file on disk is the older one again",
          hint: "it is uploaded again under the next timeline")
      }
      if isOld { continue }
      if nonce == claim.nonce || (!names.isEmpty && !isComplete) { return (id, names) }
    }
    return (GenerationID(fingerprint: fingerprint, nonce: claim.nonce), [])
  }

  /// How long an unfinished upload can be continued, and how long that may take, in milliseconds.
  private func limit(_ id: GenerationID) -> Int64 {
    let isKept = [claim.nonce, unfinished.first].contains(id.nonce)
    return isKept ? RetentionPolicy.continues : RetentionPolicy.reuses
  }

  /// - Parameter size: nil if it is known only at the end.
  private func write(
    _ upload: GenerationUpload, _ file: any SourceFile, size: UInt64?, id: GenerationID,
    existing: Set<String>
  ) async throws -> GenerationResult {
    var check = GenerationCheck(kind: upload.kind)
    let started = settings.time.monotonic
    file.adviseSequential()
    let sent = try await sendPieces(file, size: size, id: id, existing: existing, &check)
    // Retention may have deleted the first pieces if the store was unavailable for days.
    guard settings.time.monotonic - started < limit(id) else {
      throw LifeboatError(
        .failure, "the upload of \(upload.file.name) took too long",
        hint: "the upload continues under the next timeline")
    }
    let index = try makeIndex(
      upload, size: sent.size, id: id, digests: sent.digests, check: &check)
    guard try await repository.create(index, .index(id), kind: .index) == .created else {
      let found = try await repository.index(id)
      repository.acknowledged?.stored(.index(id))
      return GenerationResult(index: found, keys: check.keys)
    }
    return GenerationResult(index: index, keys: check.keys)
  }

  private func makeIndex(
    _ upload: GenerationUpload, size: UInt64, id: GenerationID, digests: [Digest],
    check: inout GenerationCheck
  ) throws -> GenerationIndex {
    let (verdict, summary) = check.finish()
    let isGood: Bool
    let remark: String?
    switch verdict {
    case .good(let note): (isGood, remark) = (true, note)
    case .unverified(let note): (isGood, remark) = (false, note)
    case .broken(let reason): throw Broken(reason: reason)
    }
    let contentAt =
      summary?.createdAtSeconds.map { Instant(seconds: $0) } ?? upload.file.modified.instant
    return GenerationIndex(
      generation: id, kind: upload.kind, file: upload.file.name, size: size, pieces: digests,
      contentAt: contentAt, verdict: isGood ? .good : .unverified, remark: remark,
      dataset: summary.flatMap { DatasetRecord($0) })
  }
}
