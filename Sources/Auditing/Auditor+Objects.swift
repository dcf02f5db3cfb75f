import BackupFormat
import BackupTypes
import ObjectStorage

/// Reads objects back.
extension Auditor {
  /// A listing is followed for at most this many pages.
  private static let pagesMax = 8

  enum ReadBack: Sendable {
    case whole, missing
    case damaged(String)
    /// Of another format, or its listing is too long to be followed.
    case unclear
  }

  /// Too small to be an object of the repository.
  static func isStub(_ entry: ObjectEntry) -> Bool { entry.size < Frame.prefixBytes }

  /// The largest object of this name; nil if it is of a kind that is not read back.
  private static func objectBytesMax(_ name: ObjectPath) -> Int? {
    switch name {
    case .descriptor: RecordCoding.descriptorSizeMax
    case .claim: ObjectKind.claim.objectBytesMax
    case .snapshot: ObjectKind.snapshot.objectBytesMax
    case .log: ObjectKind.log.objectBytesMax
    case .index: ObjectKind.index.objectBytesMax
    case .key, .piece, .operation: nil
    }
  }

  /// Whether an object is what was written under its name. For an index, also whether every piece of the
  /// generation is listed.
  func readBack(_ name: ObjectPath, _ store: any ObjectStore, _ frame: Frame) async throws
    -> ReadBack
  {
    guard let limit = Auditor.objectBytesMax(name) else { return .unclear }
    do {
      guard let object = try await store.read(name.text, limit: limit) else { return .missing }
      switch name {
      case .descriptor:
        _ = try RecordCoding.decodeDescriptor(object, location: store.location)
      case .claim: _ = try frame.open(object, kind: .claim, name: name, limit: RecordCoding.sizeMax)
      case .snapshot:
        _ = try frame.open(
          object, kind: .snapshot, name: name, limit: RecordCoding.snapshotSizeMax)
      case .log(_, _, let span):
        let content = try frame.open(object, kind: .log, name: name, limit: LogPayload.sizeMax)
        _ = try LogPayload(decoding: content.content, span: span)
      case .index(let id):
        let content = try frame.open(object, kind: .index, name: name, limit: RecordCoding.sizeMax)
        let index = try RecordCoding.decode(
          GenerationIndex.self, from: content.content, name: name.text)
        return try await lookForPieces(of: id, index, store)
      case .key, .piece, .operation: return .unclear
      }
      return .whole
    } catch let error as LifeboatError where error.code == .corrupt {
      return .damaged(error.cause ?? error.message)
    } catch let error as LifeboatError where error.code == .versionMismatch {
      return .unclear
    }
  }

  private func lookForPieces(
    of id: GenerationID, _ index: GenerationIndex, _ store: any ObjectStore
  ) async throws -> ReadBack {
    var listed: Set<ObjectPath> = []
    let isWhole = try await forEach(ObjectPath.generation(id), store) { entry in
      if let name = ObjectPath(entry.name), !Auditor.isStub(entry) { listed.insert(name) }
    }
    for (number, digest) in index.pieces.enumerated()
    where !listed.contains(.piece(id, number: number, digest.short)) {
      return isWhole ? .damaged("its piece \(number) is missing or empty") : .unclear
    }
    return .whole
  }

  /// Returns whether the listing came to its end.
  func forEach(
    _ prefix: String, _ store: any ObjectStore, _ body: (ObjectEntry) -> Void
  ) async throws -> Bool {
    var token: String?
    for _ in 0..<Auditor.pagesMax {
      let page = try await store.list(prefix: prefix, continuing: token)
      page.entries.forEach(body)
      guard let next = page.next else { return true }
      token = next
    }
    return false
  }
}
