package import BackupFormat
import BackupTypes

/// The bytes of a dump or BASE in a repository, piece by piece, in order. Each piece is checked against its
/// digest before it is handed on, and those in memory stay within `MemoryBound.readAheadBytes`.
package struct GenerationStream {
  private let repository: Repository
  private let index: GenerationIndex
  private let progress: @Sendable (UInt64) -> Void

  /// - Parameter progress: called with the number of bytes that were read.
  package init(
    repository: Repository, index: GenerationIndex,
    progress: @escaping @Sendable (UInt64) -> Void = { _ in }
  ) {
    self.repository = repository
    self.index = index
    self.progress = progress
  }

  package func run(take: (UnsafeRawBufferPointer) -> Void) async throws {
    guard index.isConsistent else { throw damaged("its index is inconsistent") }
    let (repository, index, progress) = (repository, index, progress)
    try await ReadAhead.run(Array(index.pieces.indices)) { number in
      let digest = index.pieces[number]
      let name = ObjectPath.piece(index.generation, number: number, digest.short)
      let reading = try await repository.reading(
        name, kind: .piece, limit: GenerationIndex.pieceBytes, progress: { _ in })
      switch reading {
      case .gone: throw damaged("\(name.text) is missing")
      case .damaged(let reason): throw damaged("\(name.text): \(reason)")
      case .content(let opened):
        let range = index.range(ofPiece: number)
        guard UInt64(opened.content.count) == range.upperBound - range.lowerBound,
          (opened.digest ?? repository.frame.digest(opened.content)) == digest
        else { throw damaged("the digest of \(name.text) does not match") }
        progress(UInt64(opened.content.count))
        return opened.content
      }
    } take: { _, content in
      content.withUnsafeBytes { take($0) }
    }
  }

  private func damaged(_ cause: String) -> LifeboatError {
    LifeboatError(
      .corrupt, "the full copy \(index.generation) can't be read", cause: cause,
      hint: "`lifeboat verify` lists all damage, and the restore points that it affects")
  }
}
