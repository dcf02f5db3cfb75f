package import BackupFormat
import BackupTypes
import HistoryLogic
package import RepositoryAccess

/// What a repository has of a server's replication history: enough to continue it.
package struct LinkMemory: Sendable, Equatable {
  package var link: Snapshot.Link
  var base: Snapshot.Base
  var baseSize: UInt64
  /// The files of the newest state, with their sizes.
  var files: [(file: Snapshot.LogFile, size: UInt64)]
  /// The timelines that contain these files.
  var timelines: Set<TimelineNumber>

  package static func == (a: LinkMemory, b: LinkMemory) -> Bool {
    a.link == b.link && a.base == b.base && a.timelines == b.timelines
      && a.files.map(\.size) == b.files.map(\.size)
  }

  /// The offset of the last byte that a restore gives.
  package var offset: UInt64 { link.offset + (files.last?.size ?? 0) }

  /// Reads it; nil if the newest state did not come over a link, or can't be continued.
  package static func read(_ repository: Repository) async throws -> LinkMemory? {
    var history = try await repository.history(passesClaims: true)
    var newest = try await newestPoint(repository, history)
    // Anyone who may create objects can create one behind the end. A server that was asked to continue behind
    // it would not send what is missing before.
    while let point = newest, let end = try await repository.unusableEnd(of: point, in: history) {
      history = try history.disregarding([end: "it can't be used"])
      newest = try await newestPoint(repository, history)
    }
    guard let point = newest else { return nil }
    guard let base = point.snapshot.chain?.base else { return nil }
    let size = try await repository.index(base.generation).size
    return LinkMemory(point, history, baseSize: size)
  }

  private static func newestPoint(_ repository: Repository, _ history: History) async throws
    -> RestorePoint?
  {
    try await HistoryReader(repository: repository, history: history).newestPoint()
  }

  init?(_ point: RestorePoint, _ history: History, baseSize: UInt64) {
    guard let link = point.snapshot.link, point.primary == .aof, let chain = point.snapshot.chain,
      let base = chain.base, !chain.files.isEmpty,
      history.catalogue.generations[base.generation]?.hasIndex == true,
      !history.catalogue.quarantined.contains(base.generation)
    else { return nil }
    self.link = link
    self.base = base
    self.baseSize = baseSize
    files = []
    timelines = [point.timeline]
    var isAtCut = point.cut == nil
    for file in chain.files {
      var size: UInt64 = 0
      for segment in file.segments where !isAtCut {
        timelines.insert(segment.timeline)
        if let cut = point.cut, cut.timeline == segment.timeline, cut.ordinal == segment.ordinal {
          size = cut.offset
          isAtCut = true
          // A file after one that is cut in the middle does not continue it.
          if let to = segment.to, to != cut.offset { return nil }
        } else if let to = segment.to {
          size = to
        } else {
          return nil
        }
      }
      files.append((file, size))
    }
    // The cut is the end of the last file, or of one with nothing after it.
    guard isAtCut, hasPossibleOffsets else { return nil }
  }

  /// Whether all offsets are ones that a server can have. The record may have been forged.
  private var hasPossibleOffsets: Bool {
    var earlier: UInt64 = 0
    for file in files.dropLast() {
      let (sum, isOver) = earlier.addingReportingOverflow(file.size)
      if isOver { return false }
      earlier = sum
    }
    let max = LinkWire.offsetMax
    return earlier <= link.offset && link.offset <= max
      && files.last?.size ?? 0 <= max - link.offset
  }
}
