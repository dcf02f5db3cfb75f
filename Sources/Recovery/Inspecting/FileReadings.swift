import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import RepositoryAccess
import SystemIO

/// The files of one dataset in a directory, in the order in which a server loads them.
struct FileReadings {
  enum Role: String { case dump, base, increment, legacy }

  private(set) var files: [DirectoryInspection.File] = []
  /// Ray's tables after the last file; nil once something could not be read to its end.
  private(set) var ray: RayTables? = RayTables()
  /// Whether a full copy has the hash slots of its keys, which means that a node of a cluster wrote it.
  private(set) var hasSlots = false
  private var search = LogSearch(.drops, copy: nil)
  private let counter: ProgressCounter
  /// At most this many destructive commands and series of removals are reported for each file.
  private static let dropsMax = 100

  init(_ counter: ProgressCounter) { self.counter = counter }

  mutating func read(_ file: OpenFile, _ path: String, _ role: Role, isLast: Bool) throws {
    let size = try file.status().size
    var result = DirectoryInspection.File(
      path: path, bytes: size, role: role.rawValue, verdict: "good", commands: nil, dataset: nil,
      keys: nil, destructive: [], isBroken: false)
    if size == 0, role == .dump {
      (result.verdict, result.isBroken) = ("broken: it is empty", true)
    } else if size == 0 {
      result.verdict = "empty"
    } else if role == .dump || role == .base {
      try readCopy(file, size, role == .dump ? .dump : .base, &result)
    } else {
      try readLog(file, size, takesAnyMagic: role == .legacy, isLast: isLast, &result)
    }
    files.append(result)
  }

  /// Call once, after the last file.
  mutating func finish() {
    search.finish()
    for drop in search.occurrences where files.indices.contains(drop.before.ordinal) {
      guard files[drop.before.ordinal].destructive.count < FileReadings.dropsMax else { continue }
      files[drop.before.ordinal].destructive.append(drop.text)
    }
  }

  private mutating func readCopy(
    _ file: OpenFile, _ size: UInt64, _ kind: GenerationIndex.Kind,
    _ result: inout DirectoryInspection.File
  ) throws {
    var reading = CopyReading(kind)
    try file.forEachChunk(from: 0, to: size) {
      reading.consume($0)
      counter.add(UInt64($0.count))
      return true
    }
    let copy = reading.finish()
    hasSlots = hasSlots || copy.summary?.hasSlots == true
    result.dataset = copy.summary.flatMap { DatasetRecord($0) }
    switch copy.verdict {
    case .good(let remark):
      result.verdict = "good" + (remark.map { ", but \($0)" } ?? "")
      result.keys = copy.keys.map {
        KeyReport($0, at: copy.summary?.createdAtSeconds.map { Instant(seconds: $0) })
      }
      if ray != nil { ray = copy.ray }
    case .unverified(let reason):
      result.verdict = "unverified: \(reason)"
      ray = nil
    case .broken(let reason):
      (result.verdict, result.isBroken) = ("broken: \(reason)", true)
      ray = nil
    }
    search = copy.search
  }

  private mutating func readLog(
    _ file: OpenFile, _ size: UInt64, takesAnyMagic: Bool, isLast: Bool,
    _ result: inout DirectoryInspection.File
  ) throws {
    var scanner = AOFScanner(observer: CopyCensus(), takesAnyMagic: takesAnyMagic)
    var feed = CommandFeed()
    var (ray, search, isLoaded) = (self.ray, self.search, false)
    let ordinal = files.count
    ray?.beginFile()
    search.beginFile()
    try file.forEachChunk(from: 0, to: size) { chunk in
      scanner.consume(chunk)
      counter.add(UInt64(chunk.count))
      _ = scanner.takeFindings()
      var start: UInt64 = 0
      switch scanner.preambleState {
      case nil: break
      case .ended(let end)?:
        start = end
        guard !isLoaded else { break }
        isLoaded = true
        let census = scanner.preambleObserver as? CopyCensus
        search.load(scanner.preamble.flatMap { DatasetRecord($0) }, census?.entries)
        if let census, let preamble = scanner.preamble {
          result.keys = KeyReport(
            census.keys, at: preamble.createdAtSeconds.map { Instant(seconds: $0) })
          ray = census.ray
        }
      default:
        feed.skip(chunk)
        return scanner.fault == nil
      }
      feed.consume(chunk, from: start) { event in
        search.take(
          event,
          at: LogPosition(timeline: .first, ordinal: ordinal, offset: event.place.start),
          seenAt: FileReadings.unknown)
        if case .command(let command) = event { ray?.apply(command) }
      }
      return scanner.fault == nil
    }
    (self.ray, self.search) = (scanner.fault == nil ? ray : nil, search)
    result.commands = scanner.commands
    result.dataset = scanner.preamble.flatMap { DatasetRecord($0) }
    hasSlots = hasSlots || scanner.preamble?.hasSlots == true
    if scanner.unknown != nil {
      // The end of the file decides whether it can be complete.
      var check = GenerationCheck(kind: .base)
      try file.forEachChunk(from: 0, to: size) {
        check.consume($0)
        return true
      }
      switch check.finish().verdict {
      case .broken(let reason): (result.verdict, result.isBroken) = ("broken: \(reason)", true)
      case .good: result.verdict = "good"
      case .unverified(let reason): result.verdict = "unverified: \(reason)"
      }
    } else if let fault = scanner.fault {
      (result.verdict, result.isBroken) = (
        "broken: \(fault.reason) at offset \(fault.offset)", true
      )
    } else if case .walking? = scanner.preambleState {
      (result.verdict, result.isBroken) = ("broken: the RDB at its beginning is truncated", true)
    } else if scanner.boundary < size, scanner.endsInAnnotation {
      result.verdict = "good, with an incomplete annotation at its end, which a server ignores"
    } else if scanner.boundary < size {
      let tail = "\(counted(size - scanner.boundary, "byte")) of an unfinished command at its end"
      result.isBroken = !isLast
      result.verdict = isLast ? "good, with \(tail), which a server truncates" : "broken: \(tail)"
    }
  }

  /// The time of a command before the first annotation.
  fileprivate static let unknown = Instant(milliseconds: .min)
}

extension LogSearch.Occurrence {
  fileprivate var text: String {
    var text = command
    if isRow {
      text =
        keysRemoved.map { "\(counted($0, "key"))" }
        ?? "about \(counted(entriesRemoved ?? 0, "element"))"
      text += " removed one by one (\(command)), beginning"
    }
    text += " at offset \(before.offset)"
    return at == FileReadings.unknown ? text : text + " (\(at))"
  }
}
