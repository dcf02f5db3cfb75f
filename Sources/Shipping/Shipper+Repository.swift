import Auditing
import BackupFormat
import BackupTypes
import HistoryLogic
import Logging
import ObjectStorage
import RepositoryAccess
import Synchronization
import SystemIO
import WriterLogic

/// Decides which repository is written to. A store that lost everything looks like one at a first start. So
/// if this process has seen a repository, or one is configured, no new one is created in its place.
extension Shipper {
  func openRepository(_ now: Instant) async throws -> Repository {
    let (known, claim) = seen.withLock { $0 }
    guard let expected = known?.repository ?? options.repositoryID else {
      let repository = try await Repository.openOrCreate(
        store, keys: options.keys, compression: options.compression, now: now)
      seen.withLock { $0.descriptor = repository.descriptor }
      return repository
    }
    if let known { try await bringBack(known) }
    guard
      let repository = try await Repository.open(
        store, keys: options.keys, compression: options.compression)
    else {
      throw LifeboatError(
        .corrupt, "the repository \(expected) is no longer at \(store.location)",
        cause: "the prefix is empty",
        hint: known == nil
          ? "check the bucket and prefix; without --repository-id, ship creates a new repository"
          : "find out what deleted it. Recover it from a copy, or restart lifeboat ship, which creates "
            + "a new repository from the data on disk")
    }
    guard repository.id == expected else {
      throw LifeboatError(
        .refused, "\(store.location) is the repository \(repository.id), not \(expected)",
        hint: "check the bucket and prefix, or --repository-id")
    }
    seen.withLock { $0.descriptor = repository.descriptor }
    if let claim { try await bringBack(claim, repository) }
    return repository
  }

  /// Writes our own last claim again if it is missing. Without the claim nobody can read its timeline.
  private func bringBack(_ claim: Claim, _ repository: Repository) async throws {
    let name = ObjectPath.claim(claim.timeline)
    guard !(try await store.has(name.text, limit: ObjectKind.claim.objectBytesMax)),
      try await repository.create(claim, name, kind: .claim) == .created
    else { return }
    logger.warning(
      "a claim of this shipper was missing from the repository: it was written again",
      metadata: ["object": "\(name.text)", "repository": "\(store.location)"])
  }

  /// Writes a missing descriptor again, byte for byte, if the rest of the repository exists.
  private func bringBack(_ descriptor: Descriptor) async throws {
    let name = ObjectPath.descriptor.text
    guard !(try await store.has(name, limit: RecordCoding.descriptorSizeMax)) else { return }
    // A page may be empty without being the last.
    var hasTimelines = false
    try await store.eachPage(prefix: "timelines/") { page in
      hasTimelines = !page.entries.isEmpty
      return !hasTimelines
    }
    guard hasTimelines else { return }
    let bytes = try RecordCoding.encode(descriptor) + [UInt8(ascii: "\n")]
    guard try await store.create(name, bytes) == .created else { return }
    logger.warning(
      "lifeboat.json was missing from the repository: it was written again",
      metadata: ["object": "\(name)", "repository": "\(store.location)"])
  }
}

extension Confirmed {
  /// Makes the list from what a comparison found in the repository for the files of a look.
  init(_ comparison: Comparison, _ view: CaptureView) {
    self.init()
    if let dump = comparison.dump, dump.isRead(from: view.dump), let file = view.dump {
      dumps = [file.version]
    }
    isDumpNewest = comparison.before.map { $0.position == nil } ?? false
    guard let followed = comparison.chain, let anchor = followed.anchor, let set = view.aof.set
    else { return }
    var files: [FileIdentity: UInt64] = [:]
    for file in followed.files { files[file.identity] = file.start }
    var base: Base?
    if case .base = anchor.kind, let file = set.base?.file {
      base = Base(
        name: file.name, versions: file.pin == anchor.pin ? [file.version] : [])
    }
    chain = Chain(base: base, files: files)
  }
}

extension Comparison {
  /// Some objects that a restore of the newest state needs.
  func objects(_ history: History) -> [ObjectPath] {
    guard let before else { return [] }
    var objects: [ObjectPath] = [
      .claim(before.timeline), .snapshot(before.timeline, sequence: before.snapshot),
    ]
    objects += reusable.values.map { .index($0) }
    // Where a timeline continues a file, its log does not begin at 0.
    if let position = before.position,
      let last = history.catalogue.timelines[position.timeline]?.log[position.ordinal]?
        .filter({ $0.from < position.offset && position.offset <= $0.to })
        .max(by: { $0.count < $1.count })
    {
      objects.append(.log(position.timeline, ordinal: position.ordinal, last))
    }
    return objects
  }
}
