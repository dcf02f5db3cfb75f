import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import RepositoryAccess

/// A dump or BASE that `inspect` streams: its structure, checksum and content.
struct CopyReading {
  private var check: GenerationCheck
  private var commands = CommandFeed()
  /// Ray's tables and the search, for a BASE that is, or ends with, a log of commands.
  private var ray: RayTables?
  private var search: LogSearch?

  /// What was found, at the end.
  struct Result {
    var verdict: GenerationCheck.Verdict
    var summary: RDBSummary?
    /// Nil for a copy that is a log of commands.
    var keys: KeyCensus?
    var ray: RayTables
    /// These continue with the log after the copy.
    var search: LogSearch
  }

  init(_ kind: GenerationIndex.Kind) {
    check = GenerationCheck(kind: kind, observer: CopyCensus())
  }

  mutating func consume(_ bytes: UnsafeRawBufferPointer) {
    check.consume(bytes)
    guard let start = check.commandsStart else { return commands.skip(bytes) }
    if ray == nil {
      let census = check.heard as? CopyCensus
      ray = census?.ray ?? RayTables()
      search = LogSearch(.drops, copy: nil, census: census?.entries)
    }
    commands.consume(bytes, from: start) { event in
      guard case .command(let command) = event else { return }
      ray?.apply(command)
      search?.load(command)
    }
  }

  /// Call this once, at the end of the file.
  mutating func finish() -> Result {
    let (verdict, summary) = check.finish()
    let census = check.heard as? CopyCensus
    return Result(
      verdict: verdict, summary: summary, keys: census?.keys,
      ray: ray ?? census?.ray ?? RayTables(),
      search: search
        ?? LogSearch(.drops, copy: summary.flatMap { DatasetRecord($0) }, census: census?.entries))
  }
}

/// The commands of a streamed file, from where they begin.
struct CommandFeed {
  private var reader: AOFCommandReader?
  private var position: UInt64 = 0

  /// Bytes before the first command.
  mutating func skip(_ bytes: UnsafeRawBufferPointer) { position += UInt64(bytes.count) }

  /// - Parameter start: the offset of the first command in the file. On the first call with it, it must not
  ///   be before the given bytes.
  mutating func consume(
    _ bytes: UnsafeRawBufferPointer, from start: UInt64, take: (AOFCommandReader.Event) -> Void
  ) {
    let skipped = reader == nil ? Int(min(UInt64(bytes.count), start - min(start, position))) : 0
    position += UInt64(bytes.count)
    if reader == nil {
      reader = AOFCommandReader(at: start, argumentBytesMax: KeySampling.nameBytesMax)
    }
    reader?.consume(UnsafeRawBufferPointer(rebasing: bytes[skipped...]), take)
  }
}
