import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess

/// The generations: index, pieces, and the file that they form.
extension VerifyPass {
  private struct Piece: Sendable {
    var generation: GenerationID
    var number: Int
    var digest: ShortDigest
    /// The digest in the index; nil if the index does not have this piece.
    var expected: Digest?
    var size: UInt64?
    var name: ObjectPath { .piece(generation, number: number, digest) }
  }

  func verify(_ id: GenerationID) async throws {
    let listed = catalogue.generations[id]!
    if letGo.generations.contains(id), !references.isNeeded(id) {
      add(
        VerifyFinding(
          .remark, ObjectPath.generation(id),
          "retention was interrupted while it deleted this full copy",
          remedy: "none: the next run deletes the rest"), to: .generation(id))
      return
    }
    var index: GenerationIndex?
    if listed.hasIndex {
      try await readRecords(
        GenerationIndex.self, [id], .index,
        consequence: "nothing that needs this full copy can be restored",
        group: { .generation($0) },
        points: { [references] in references.generations[$0]?.points ?? [] },
        name: { .index($0) }
      ) { index = $1 }
    }
    if let found = index, found.generation != id || !found.isConsistent {
      add(damaged(ObjectPath.index(id).text, "it is inconsistent", id), to: .generation(id))
      index = nil
    }
    guard let index else {
      try await verifyLoose(pieces(of: id, listed, index: nil), isLeft: !listed.hasIndex)
      return
    }
    if references.generations[id] == nil {
      add(
        VerifyFinding(.remark, ObjectPath.index(id).text, "no snapshot names this full copy"),
        to: .generation(id))
    }
    try await verifyWhole(index, listed)
  }

  private func pieces(
    of id: GenerationID, _ listed: Catalogue.Generation, index: GenerationIndex?
  ) -> [Piece] {
    listed.pieces.sorted { $0.key < $1.key }.flatMap { number, digests in
      digests.filter { digest in
        index.map { !($0.pieces.indices.contains(number) && $0.pieces[number].short == digest) }
          ?? true
      }.map { Piece(generation: id, number: number, digest: $0, expected: nil, size: nil) }
    }
  }

  /// Verifies every piece that the index names, in order, and the file that they form.
  private func verifyWhole(_ index: GenerationIndex, _ listed: Catalogue.Generation) async throws {
    let id = index.generation
    var check: GenerationCheck? = isSample ? nil : GenerationCheck(kind: index.kind)
    var wanted: [Piece] = []
    for (number, digest) in index.pieces.enumerated() {
      let range = index.range(ofPiece: number)
      let piece = Piece(
        generation: id, number: number, digest: digest.short, expected: digest,
        size: range.upperBound - range.lowerBound)
      if listed.pieces[number]?.contains(digest.short) == true {
        if chooses() { wanted.append(piece) }
      } else {
        add(
          .missing(
            piece.name.text, "the index of its full copy names it",
            references.generations[id]?.points ?? [], "nothing that needs it can be restored"),
          to: .generation(id))
        check = nil
      }
    }
    try await verify(wanted) { content in
      guard let content else {
        check = nil
        return
      }
      // `check` is set to nil meanwhile, so that `taken` is the only reference and nothing is copied.
      var taken = check
      check = nil
      content.withUnsafeBytes { taken?.consume($0) }
      check = taken
    }
    if check != nil { judge(&check!, index) }
    try await verifyLoose(pieces(of: id, listed, index: index), isLeft: true)
  }

  /// The complete file, compared with its index.
  private func judge(_ check: inout GenerationCheck, _ index: GenerationIndex) {
    let id = index.generation
    let (verdict, summary) = check.finish()
    switch verdict {
    case .broken(let reason):
      add(
        damaged(
          ObjectPath.generation(id), "the file made of its pieces is damaged: \(reason)", id),
        to: .generation(id))
    case .unverified(let reason) where index.verdict == .good:
      add(VerifyFinding(.remark, ObjectPath.index(id).text, reason), to: .generation(id))
    case .good, .unverified: break
    }
    guard case .good = verdict, index.verdict == .good, let recorded = index.dataset,
      let found = summary.flatMap({ DatasetRecord($0) })
    else { return }
    let differences = DatasetComparison.differences(recorded: recorded, found: found)
    guard !differences.isEmpty else { return }
    add(
      damaged(
        ObjectPath.index(id).text,
        "it does not match its pieces: " + differences.prefix(3).joined(separator: "; "), id),
      to: .generation(id))
  }

  /// Verifies pieces that no index names. An interrupted upload left them, and may still be continued.
  private func verifyLoose(_ pieces: [Piece], isLeft: Bool) async throws {
    guard let first = pieces.first else { return }
    if isLeft {
      add(
        VerifyFinding(
          .remark, ObjectPath.generation(first.generation),
          "\(counted(pieces.count, "piece")) without an index: left by an interrupted upload, or part of "
            + "one in progress"), to: .generation(first.generation))
    }
    try await verify(pieces.filter { _ in chooses() }) { _ in }
  }

  /// Reads pieces in order, and passes on their contents; nil for one that can't be used.
  private func verify(_ pieces: [Piece], take: ([UInt8]?) -> Void) async throws {
    try await read(pieces, .piece, limit: GenerationIndex.pieceBytes, name: { $0.name }) {
      piece, reading in
      switch reading {
      case .gone:
        add(
          .missing(
            piece.name.text, "it was listed, but is missing",
            references.generations[piece.generation]?.points ?? [],
            "nothing that needs it can be restored"), to: .generation(piece.generation))
        take(nil)
      case .damaged(let reason):
        add(damaged(piece.name.text, reason, piece.generation), to: .generation(piece.generation))
        take(nil)
      case .content(let opened):
        let digest = opened.digest ?? repository.frame.digest(opened.content)
        if digest.short != piece.digest || piece.expected.map({ $0 != digest }) ?? false {
          add(
            damaged(piece.name.text, "its digest does not match", piece.generation),
            to: .generation(piece.generation))
          take(nil)
        } else if let size = piece.size, UInt64(opened.content.count) != size {
          add(
            damaged(
              piece.name.text, "it has \(counted(opened.content.count, "byte")), not \(size)",
              piece.generation), to: .generation(piece.generation))
          take(nil)
        } else {
          take(opened.content)
        }
      }
    }
  }

  private func damaged(_ object: String, _ detail: String, _ id: GenerationID) -> VerifyFinding {
    let uses = references.generations[id]
    return .damaged(
      object, detail, uses?.points ?? [],
      uses == nil
        ? "no restore point needs it; an upload in progress may use it"
        : "nothing that needs this full copy can be restored",
      remedy: "it is uploaded again if the file is still on disk; meanwhile, restore another point")
  }
}
