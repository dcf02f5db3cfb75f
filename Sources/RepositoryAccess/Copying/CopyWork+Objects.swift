import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import ObjectStorage
import SystemIO

/// Single objects: reading, checking, and sealing for the copy.
extension CopyWork {
  /// An object in the form in which the copy stores it.
  private struct Sealed: Sendable {
    var name: ObjectPath
    var object: [UInt8]
    /// The digest of the plain content, if the object is a piece.
    var digest: Digest?
  }

  private enum Reading: Sendable {
    case sealed(Sealed)
    case damaged(String)
  }

  /// The memory that an object and its content take, in bytes.
  private func cost(_ name: ObjectPath) -> Int {
    // Sealing an object again needs as much once more: the new object, and its content opened for the check.
    let copies = target.sharesKeys ? 2 : 4
    return switch name {
    case .log(_, _, let span):
      copies * Int(min(span.count, UInt64(LogPayload.bytesMax))) + (1 << 20)
    case .piece: copies * MemoryBound.objectBytes
    default: 1 << 20
    }
  }

  /// Copies in any order, several at a time.
  func copyAll(_ names: [ObjectPath]) async throws {
    try await ReadAhead.run(
      names, cost: cost,
      read: { name in try await write(try await read(name), of: name) }, take: { _, _ in })
  }

  /// Reads several at a time. Each object is written when the previous one is durable.
  func copyInOrder(_ names: [ObjectPath]) async throws {
    try await ReadAhead.run(
      names, cost: cost, read: { name in try await read(name) },
      take: { name, reading in try await write(reading, of: name) })
  }

  private func write(_ reading: Reading, of name: ObjectPath) async throws {
    switch reading {
    case .sealed(let sealed): try await write(sealed, of: name)
    case .damaged(let reason): noteDamage(name, reason)
    }
  }

  private func noteDamage(_ name: ObjectPath, _ reason: String) {
    switch name {
    case .operation(let kind, _) where kind != .pins:
      state.add(
        VerifyFinding(
          .remark, name.text, reason, consequence: "it is ignored, and is not copied"),
        damaged: name)
    default:
      state.add(
        VerifyFinding(
          .damaged, name.text, reason,
          consequence: "it was not copied: what needs it can't be restored from the copy either",
          remedy: CopyReport.remedy), damaged: name)
    }
  }

  // MARK: Reading

  /// - Throws: `CopyState.Gone` if the object was deleted after it was listed.
  private func read(_ name: ObjectPath) async throws -> Reading {
    guard let kind = name.kind else { return .damaged("objects of this kind are not copied") }
    let object: [UInt8]
    do {
      guard let found = try await source.store.read(name.text, limit: kind.objectBytesMax) else {
        throw CopyState.Gone()
      }
      object = found
    } catch let error as LifeboatError where error.code == .corrupt {
      return .damaged(error.reason)
    }
    do {
      let opened = try source.frame.open(
        object, kind: kind, name: name, limit: kind.contentBytesMax)
      return .sealed(try sealed(opened, object, kind, name))
    } catch let error as LifeboatError where error.code == .corrupt {
      // A pin is in force even if it can't be read. So its bytes are copied as they are.
      if case .operation(.pins, _) = name {
        noteDamage(name, error.reason)
        return .sealed(Sealed(name: name, object: object))
      }
      return .damaged(error.reason)
    }
  }

  private func sealed(
    _ opened: Frame.Opened, _ object: [UInt8], _ kind: ObjectKind, _ name: ObjectPath
  ) throws -> Sealed {
    let content = opened.content
    func broken(_ cause: String) -> LifeboatError {
      LifeboatError(.corrupt, "the object \(name.text) is damaged", cause: cause)
    }
    var made = name
    var digest: Digest?
    switch name {
    case .piece(let id, let number, let short):
      guard (opened.digest ?? source.frame.digest(content)).short == short else {
        throw broken("its content does not have the digest in its name")
      }
      digest = target.repository.frame.digest(content)
      made = .piece(id, number: number, digest!.short)
    case .log(let timeline, let ordinal, var span):
      let payload = try LogPayload(decoding: content, span: span)
      guard payload.nonce == history.claims[timeline]?.nonce else {
        throw broken("it was written by another process")
      }
      guard source.frame.digest(payload.bytes).short == span.digest else {
        throw broken("its bytes do not have the digest in its name")
      }
      span.digest = target.repository.frame.digest(payload.bytes).short
      made = .log(timeline, ordinal: ordinal, span)
    case .operation(let operation, let id): try check(operation, id, content, name)
    default: break
    }
    guard !target.sharesKeys else { return Sealed(name: made, object: object, digest: digest) }
    return Sealed(name: made, object: try sealedAgain(content, kind, made), digest: digest)
  }

  /// A release, a request or a quarantine that has no effect in the source is not copied.
  private func check(
    _ kind: OperationKind, _ id: String, _ content: [UInt8], _ name: ObjectPath
  ) throws {
    switch kind {
    case .pins:
      let pin = try RecordCoding.decode(Pin.self, from: content, name: name.text)
      try source.check(pin.id == id, pin.repository, name)
    case .releases:
      let release = try RecordCoding.decode(Release.self, from: content, name: name.text)
      try source.check(release.pin == id, release.repository, name)
    case .requests:
      let request = try RecordCoding.decode(PerformedRequest.self, from: content, name: name.text)
      try source.check(true, request.repository, name)
    case .quarantines:
      let quarantine = try RecordCoding.decode(Quarantine.self, from: content, name: name.text)
      try source.check(quarantine.generation.description == id, quarantine.repository, name)
    case .drills, .prunes, .probes: break
    }
  }

  /// Seals with the keys of the copy, and opens the result once more. So what is sent can be opened.
  private func sealedAgain(_ content: [UInt8], _ kind: ObjectKind, _ name: ObjectPath) throws
    -> [UInt8]
  {
    let frame = target.repository.frame
    let object = try frame.seal(content, kind: kind, name: name)
    let opened = try frame.open(object, kind: kind, name: name, limit: kind.contentBytesMax)
    guard opened.content == content else {
      throw LifeboatError(
        .failure, "the object \(name.text) could not be sealed",
        cause: "the sealed object does not decrypt to its content",
        hint: "check this machine's memory, and run the command again")
    }
    return object
  }

  // MARK: Writing

  private func write(_ sealed: Sealed, of source: ObjectPath) async throws {
    guard try await put(sealed.name.text, sealed.object) == .exists else { return }
    try await compare(sealed, of: source)
  }

  /// Another copy run may have written the same object at this moment. A different object belongs to somebody
  /// else.
  private func compare(_ sealed: Sealed, of source: ObjectPath) async throws {
    guard let kind = sealed.name.kind else { return }
    let copy = target.repository
    let found = try await copy.reading(
      sealed.name, kind: kind, limit: kind.contentBytesMax, progress: { _ in })
    switch found {
    case .gone: throw CopyState.Gone()
    case .content(let opened):
      let own = try copy.frame.open(
        sealed.object, kind: kind, name: sealed.name, limit: kind.contentBytesMax)
      if own.content == opened.content { return }
      if case .claim(let number) = sealed.name {
        throw CopyTarget.ownHistory(copy.store, number)
      }
      contradict(source, "another object has its name")
    case .damaged(let reason): contradict(source, reason)
    }
  }

  private func contradict(_ name: ObjectPath, _ reason: String) {
    state.add(
      VerifyFinding(
        .damaged, name.text, "in the copy at \(target.repository.store.location): \(reason)",
        consequence: "what needs it can't be restored from the copy",
        remedy:
          "delete it there with credentials that may delete, and copy again; find out who wrote it"
      ), damaged: name)
  }

  /// Creates an object. Reads it back if this was requested.
  func put(_ name: String, _ object: [UInt8]) async throws -> CreateOutcome {
    let store = target.repository.store
    let outcome = try await store.create(name, object)
    guard outcome == .created else { return outcome }
    state.wrote(object.count)
    guard copier.options.readsBack else { return outcome }
    guard try await store.read(name, limit: object.count) == object else {
      throw LifeboatError(
        .corrupt, "\(name) at \(store.location) is not what was written",
        cause: "it was read back right after it was created",
        hint: "delete it there; `lifeboat doctor` tests what backups need from a store")
    }
    return outcome
  }

  // MARK: Generations

  /// Copies the missing pieces, then the index. If the keys differ, the index needs the digests of all
  /// pieces, so all pieces are read.
  func copyGeneration(_ id: GenerationID) async throws {
    let name = ObjectPath.index(id)
    let original: [UInt8]
    var index: GenerationIndex
    do {
      guard
        let found = try await source.store.read(name.text, limit: ObjectKind.index.objectBytesMax)
      else { throw CopyState.Gone() }
      original = found
      let content = try source.frame.open(
        original, kind: .index, name: name, limit: ObjectKind.index.contentBytesMax
      ).content
      index = try RecordCoding.decode(GenerationIndex.self, from: content, name: name.text)
    } catch let error as LifeboatError where error.code == .corrupt {
      return noteDamage(name, error.reason)
    }
    guard index.generation == id, index.isConsistent else {
      return noteDamage(name, "it is inconsistent")
    }
    let known = target.catalogue.generations[id]?.pieces ?? [:]
    let all = index.pieces.enumerated().map { number, digest in
      ObjectPath.piece(id, number: number, digest.short)
    }
    let wanted = all.filter { piece in
      guard target.sharesKeys, case .piece(_, let number, let digest) = piece else { return true }
      return known[number]?.contains(digest) != true
    }
    var digests: [Digest] = []
    var isWhole = true
    try await ReadAhead.run(
      wanted, cost: cost, read: { piece in try await copyPiece(piece, known) },
      take: { _, digest in
        if let digest { digests.append(digest) } else { isWhole = false }
      })
    // A generation with an index is complete. If the source lost a part, the copy gets no index.
    guard isWhole else { return state.skip(name) }
    if target.catalogue.generations[id]?.hasIndex == true { return }
    var object = original
    if !target.sharesKeys {
      index.pieces = digests
      object = try sealedAgain(try RecordCoding.encode(index), .index, name)
    }
    try await write(Sealed(name: name, object: object), of: name)
  }

  /// The digest of the piece in the copy; nil if the piece is damaged.
  private func copyPiece(
    _ piece: ObjectPath, _ known: [Int: [ShortDigest]]
  ) async throws -> Digest? {
    switch try await read(piece) {
    case .damaged(let reason):
      noteDamage(piece, reason)
      return nil
    case .sealed(let sealed):
      guard case .piece(_, let number, let digest) = sealed.name else { return nil }
      if known[number]?.contains(digest) != true { try await write(sealed, of: piece) }
      return sealed.digest
    }
  }
}

extension ObjectPath {
  /// The kind of the object with this name; nil for the descriptor, and for what a probe wrote.
  var kind: ObjectKind? {
    switch self {
    case .descriptor, .operation(.probes, _): nil
    case .key: .keySlot
    case .piece: .piece
    case .index: .index
    case .claim: .claim
    case .snapshot: .snapshot
    case .log: .log
    case .operation: .operation
    }
  }
}
