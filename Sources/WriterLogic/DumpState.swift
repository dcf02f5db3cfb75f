import BackupFormat
import BackupTypes

/// Which dump is durable, and what is known about the one on disk.
package struct DumpState: Sendable {
  package private(set) var durable: DurableDump?
  /// When the last upload began; after a start, the time of the durable one.
  private(set) var begun: Instant?
  /// The newest dump that was found, and the state of the log when it was first found.
  private var seen: (version: FileVersion, log: PinnedFile?)?
  /// Whether the log grew after the look that first showed the dump.
  private(set) var hasLogGrown = false
  /// The position of the log when each dump was first seen.
  private var positions: [PinID: LogPosition] = [:]
  /// For each dump, up to where the followed log must be durable to have the same data: the position of the
  /// log when both were first found.
  private var covering: [PinID: LogPosition] = [:]

  init(_ durable: DurableDump?) {
    self.durable = durable
    // Beside a live AOF one dump in each interval is enough, also across a restart.
    begun = durable?.record.contentAt
  }

  /// Whether the bytes of `file` are not durable, as far as is known.
  func isNews(_ file: PinnedFile) -> Bool { !(durable?.isRead(from: file) ?? false) }

  // MARK: The upload

  mutating func begin(now: Instant) { begun = now }
  mutating func store(_ dump: DurableDump) { durable = dump }
  /// Nothing was shipped, so the next dump need not wait for the interval.
  mutating func resumeInterval() { begun = durable?.record.contentAt }
  /// The dump was deleted from the disk beside a live AOF. The repository then keeps it only as long as the
  /// policy says.
  mutating func forget() { durable = nil }
  /// `file` was compared. It has the bytes of the durable dump, whatever its times are.
  mutating func matches(_ file: PinnedFile) { durable?.file = file }
  /// The dump on disk has other bytes, although its size and modification time are the same.
  mutating func differs() { durable?.file = nil }

  // MARK: Beside the log

  /// Notes whether the log grew after the look that first showed the dump.
  mutating func noteGrowth(_ view: CaptureView) {
    let last = view.aof.set?.increments.last?.file
    guard let dump = view.dump else {
      (seen, hasLogGrown) = (nil, false)
      return
    }
    guard let seen, seen.version == dump.version else {
      (seen, hasLogGrown) = ((dump.version, last), false)
      return
    }
    if let last, last.pin != seen.log?.pin || last.size != seen.log?.size { hasLogGrown = true }
  }

  /// Another log is followed from now on.
  mutating func beginLog() { covering = [:] }

  /// Records the position of the log when a dump is first seen. A dump without a position joins no
  /// cut of the log.
  mutating func notePosition(_ view: CaptureView, uploading: PinID?, log: LogPosition?) {
    // A look without a complete set measured no file of the log, so the known position is out of date.
    if case .unsettled = view.aof { return }
    let dumps = [view.dump?.pin, uploading, durable?.file?.pin].compactMap { $0 }
    covering = covering.filter { dumps.contains($0.key) }
    for pin in dumps where covering[pin] == nil { covering[pin] = log }
    guard let file = view.dump, positions[file.pin] == nil else { return }
    positions = positions.filter { $0.key == uploading }
    positions[file.pin] = log
  }

  /// Up to where the followed log must be durable to have the data of the durable dump; nil if unknown.
  var covered: LogPosition? { durable?.file.flatMap { covering[$0.pin] } }

  /// The end of the log when the dump was pinned. If it is unknown, it counts as somewhere in the growing
  /// file, and the dump joins no cut of that file.
  func pinnedPosition(of pin: PinID, log: LogPosition?) -> LogPosition? {
    if let position = positions[pin] { return position }
    guard var position = log else { return nil }
    position.offset = .max
    return position
  }
}

/// Decides which versions of files are worth reading.
struct FileVersions: Sendable {
  /// Versions that failed their checks. The same bytes are not read again.
  private var refused: Set<FileVersion> = []
  /// Versions that the last two looks found. A file that still changes is being copied into place.
  private var steady: Set<FileVersion> = []

  mutating func look(_ view: CaptureView, after last: CaptureView) {
    steady = Set(view.files.map(\.version)).intersection(last.files.map(\.version))
    let identities = Set(view.files.map(\.identity))
    refused = refused.filter { identities.contains($0.identity) }
  }

  mutating func refuse(_ file: PinnedFile) { refused.insert(file.version) }

  /// A refused file may still have been in the process of being copied. A new version of it is read once it
  /// no longer changes.
  func isReady(_ file: PinnedFile) -> Bool {
    guard !refused.contains(file.version) else { return false }
    return steady.contains(file.version) || !refused.contains { $0.identity == file.identity }
  }
}
