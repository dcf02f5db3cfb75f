import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess

/// Reads the files of a restore point for `inspect`: the full copy, if it is not too large, and the log after
/// it, each once.
struct PointReading {
  struct Content {
    var dataset: DatasetRecord?
    var keys: KeyReport?
    /// Why the full copy was not read, or not to its end.
    var unread: String?
    var ray: [RayNamespace]?
    /// The result for the point's own chain; nil for a dump.
    var search: LogSearch?
    var warnings: [String] = []
  }

  let reader: HistoryReader
  let point: RestorePoint
  let indexes: [GenerationID: GenerationIndex]
  let copyBytesMax: UInt64
  let progress: @Sendable (UInt64, UInt64) -> Void

  func run() async throws -> Content {
    let index = copy.flatMap { indexes[$0] }
    let isRead = index.map { $0.size <= copyBytesMax } ?? true
    let walk = point.primary == .aof ? LogWalk(reader: reader, snapshot: point.snapshot) : nil
    let total = (isRead ? index?.size ?? 0 : 0) &+ (walk?.bytes ?? 0)
    let counter = ProgressCounter(total: total, report: progress)
    var content = Content()
    var copy: CopyReading.Result?
    if let index, isRead {
      copy = try await read(index, counter, &content)
    } else if let index {
      content.unread = "the full copy has \(humanBytes(index.size)); --keys reads it"
    }
    if let walk {
      let known = content.unread == nil ? copy?.search : nil
      let search = known ?? LogSearch(.drops, copy: index?.dataset)
      try await read(walk, search, copy?.ray, counter, &content)
    } else {
      content.ray = copy?.ray.namespaces
    }
    if content.unread != nil { content.ray = nil }
    counter.finish()
    return content
  }

  private var copy: GenerationID? {
    point.primary == .rdb ? point.snapshot.dump?.generation : point.snapshot.chain?.base?.generation
  }

  /// Nil, with a warning, for a damaged copy: its record and the log may be enough.
  private func read(
    _ index: GenerationIndex, _ counter: ProgressCounter, _ content: inout Content
  ) async throws -> CopyReading.Result? {
    var reading = CopyReading(index.kind)
    do {
      try await GenerationStream(
        repository: reader.repository, index: index, progress: { counter.add($0) }
      ).run { reading.consume($0) }
    } catch let error as LifeboatError where error.code == .corrupt {
      content.unread = error.message
      content.warnings.append("\(error.message): \(error.reason)")
      return nil
    }
    let copy = reading.finish()
    switch copy.verdict {
    case .good: content.keys = copy.keys.map { KeyReport($0, at: index.contentAt) }
    case .unverified(let reason): content.unread = reason
    case .broken(let reason):
      content.unread = "the full copy is damaged"
      content.warnings.append("the full copy is damaged: \(reason)")
    }
    return copy
  }

  private func read(
    _ walk: LogWalk, _ search: LogSearch, _ ray: RayTables?, _ counter: ProgressCounter,
    _ content: inout Content
  ) async throws {
    var walk = walk
    walk.progress = { counter.add($0) }
    let chain = try await ChainReading(search, ray: ray ?? RayTables(), cut: point.cut).run(walk)
    content.search = chain.search
    content.ray = chain.ray.namespaces
    guard let copy = chain.copy else { return }
    content.dataset = copy.dataset
    content.keys = KeyReport(copy.census.keys, at: copy.at)
  }
}
