import BackupFormat
import BackupTypes
import RedisFormats
import Synchronization
import SystemIO
import WriterLogic

/// One unbroken history of a server, from one full copy on: the part that this process holds in memory. The
/// receiver adds to it; looks, the shipper and the audit read it.
///
/// Offsets are those of the server: the number of bytes of its stream.
final class LinkLine: Sendable {
  /// A part of the stream, as a file of an AOF set.
  struct Part: Sendable, Equatable {
    let pin: PinID
    let name: String
    let sequence: Int64
    let identity: FileIdentity
    /// The offset before its first byte.
    let start: UInt64
    /// The offset after its last byte; nil while it grows.
    var end: UInt64?
  }

  struct Limits: Sendable {
    /// How many bytes are held.
    var heldMax: Int
    /// How many durable bytes are kept in memory: merging small log objects reads them again.
    var keptMax: Int { min(heldMax, 5 << 20) }
    /// If this many bytes of a command have come, they are shown before the command is complete. The same
    /// applies to PINGs in a row.
    static let shownAnyway: UInt64 = 1 << 20
  }

  struct State {
    /// Nil until the server has begun its full copy.
    var id: String?
    var base: LinkBase
    /// A newer copy, which the server is sending, and the part of the stream that continues from it.
    var next: (base: LinkBase, first: PinID)?
    /// Whether the shipper follows that part, and may use the copy as its BASE.
    var isNextShown = false
    /// While the server is asked for a newer copy: the ends of commands, and when they came. They are shown a
    /// little later, so that the copy begins after what was shown.
    var late: [(offset: UInt64, at: Int64)]?
    var parts: [Part] = []
    var window: ByteWindow
    /// The commands after `streamStart`.
    var stream = ReplicationStream()
    var streamStart: UInt64
    var shown: UInt64
    var receivedAt: Instant
    /// The offset of the state that a restore of the repository gives. Nil if it gives none yet.
    var durable: UInt64?
    /// The offset of the last question (GETACK) of the server.
    var askedAt: UInt64 = 0
    /// The timelines whose log up to `durable` is the server's stream.
    var timelines: Set<TimelineNumber>
    /// Whether the history was cut, and no comparison has taken that into account yet. Until then, the log
    /// that a session reports as durable may be log that the server has lost.
    var isCut = false
    /// Where it was cut last, and the timelines whose log goes on with what the server has lost.
    var fork: (offset: UInt64, timelines: Set<TimelineNumber>)?
    /// Whether somebody was shown this history, and was not told yet that it was cut.
    var isBroken = false
    var isSeen = false
    /// How many keys the server had when it was last connected to.
    var keys: KeyBounds
    /// From this time on nothing more is shown, by the monotonic clock.
    var frozenFrom: Int64?
    /// Whether a shipper reads the stream, and so would read a newer full copy.
    var isFollowed = false
    /// Whether the held history no longer matches the server or the repository.
    var isStale = false
  }

  let isContinued: Bool
  /// The run id of the server at the time when this was made.
  let runID: String?
  /// Why it begins with a full copy.
  let reason: String
  private let hadData: Bool
  let limits: Limits
  let state: Mutex<State>

  /// A new history, whose full copy was not requested yet.
  init(
    base: LinkBase, first: Part, because reason: String, runID: String?, keys: KeyBounds,
    hadData: Bool,
    limits: Limits, now: Instant
  ) {
    isContinued = false
    self.reason = reason
    self.runID = runID
    self.hadData = hadData
    self.limits = limits
    state = Mutex(
      State(
        base: base, parts: [first], window: ByteWindow(at: first.start), streamStart: first.start,
        shown: first.start, receivedAt: now, timelines: [], keys: keys))
  }

  /// The history that the repository has, up to `durable`.
  init(
    continuing id: String, base: LinkBase, parts: [Part], durable: UInt64,
    timelines: Set<TimelineNumber>, limits: Limits, now: Instant
  ) {
    isContinued = true
    reason = ""
    runID = nil
    hadData = true
    self.limits = limits
    state = Mutex(
      State(
        id: id, base: base, parts: parts, window: ByteWindow(at: durable), streamStart: durable,
        shown: durable, receivedAt: now, durable: durable, timelines: timelines, keys: .unknown))
  }

  // MARK: The receiver

  /// The history to continue with a request. Nil before the full copy has arrived.
  var held: Resync.Held? {
    state.withLock { state in
      guard let id = state.id, let first = state.parts.first, state.base.isComplete else {
        return nil
      }
      return Resync.Held(id: id, base: first.start, offset: state.window.end)
    }
  }
  var keys: KeyBounds { state.withLock { $0.keys } }
  func note(keys: KeyBounds) { state.withLock { $0.keys = keys } }
  var base: LinkBase { state.withLock { $0.base } }
  func base(_ pin: PinID) -> LinkBase? {
    state.withLock { state in
      [state.base, state.next?.base].compactMap { $0 }.first { $0.file.pin == pin }
    }
  }
  var id: String? { state.withLock { $0.id } }

  /// The full copy begins. It is followed by the history `id` after `offset`.
  func begin(id: String, offset: UInt64, spool: CopySpool? = nil) {
    state.withLock { state in
      state.id = id
      let first = state.parts[0]
      state.parts = [
        Part(
          pin: first.pin, name: first.name, sequence: first.sequence, identity: first.identity,
          start: offset)
      ]
      state.window = ByteWindow(at: offset)
      (state.streamStart, state.shown) = (offset, offset)
      state.stream = ReplicationStream()
    }
    base.begin(spool)
  }

  /// Adds bytes of the stream.
  /// - Returns: whether there is new data to see, and whether the server asked for our offset.
  func append(_ bytes: ArraySlice<UInt8>, at now: Now) throws(LifeboatError) -> (
    isData: Bool, isQuestion: Bool
  ) {
    let (isData, isQuestion, fault) = state.withLock { state -> (Bool, Bool, FileFault?) in
      let (shown, questions) = (state.shown, state.stream.questions)
      bytes.withUnsafeBytes {
        state.window.append($0)
        state.stream.consume($0)
      }
      if let fault = state.stream.fault { return (false, false, fault) }
      state.show(now)
      let isQuestion = state.stream.questions > questions
      if isQuestion { state.askedAt = state.streamStart + state.stream.dataEnd }
      return (state.shown > shown, isQuestion, nil)
    }
    if let fault {
      throw LifeboatError(
        .failure, "the server sent something that is not a command, after offset \(fault.offset)",
        cause: fault.reason, isRetryable: true)
    }
    trim()
    return (isData, isQuestion)
  }

  /// Whether a restore of the repository gives a state of this history.
  var isRestorable: Bool { state.withLock { $0.durable != nil } }

  /// Bytes that were received and are not durable.
  var pending: Int { state.withLock { Int($0.window.end - max($0.durable ?? 0, $0.window.start)) } }
  var isFull: Bool { pending >= limits.heldMax }
  /// Whether some data is shown and not durable.
  var hasUnshipped: Bool { state.withLock { $0.shown > $0.durable ?? 0 } }
  /// Whether there is enough room to connect again.
  var hasRoom: Bool { pending < limits.heldMax / 2 }

  /// The offset to acknowledge to the server: a restore gives its history up to there. 0 if there is none.
  var acknowledged: UInt64 {
    state.withLock { state in
      guard let durable = state.durable else { return 0 }
      // After the last command that changes data, there is no data that could be lost.
      let dataEnd = state.streamStart + state.stream.dataEnd
      return durable >= dataEnd ? max(durable, state.streamStart + state.stream.boundary) : durable
    }
  }

  /// Whether the server still has the data that it had when this was made, as far as the shrink guard is
  /// concerned.
  func isStill(_ info: ReplicationInfo) -> Bool {
    let found = ShrinkGuard.Loaded(keys: info.keys)
    return info.runID == runID && !isOutdated(by: info)
      && ShrinkGuard.suspicion(known: keys, found: found, isWatched: false) == nil
  }

  // MARK: The shipper

  func pinned(_ part: Part) -> PinnedFile {
    state.withLock { LinkLine.pinned(part, $0) }
  }

  static func pinned(_ part: Part, _ state: State) -> PinnedFile {
    let end = max(part.start, min(state.shown, part.end ?? .max))
    let at = FileMoment(state.receivedAt)
    return PinnedFile(
      pin: part.pin, name: part.name, size: end - part.start, modified: at, born: nil,
      identity: part.identity)
  }

  func part(_ pin: PinID) -> Part? { state.withLock { $0.parts.first { $0.pin == pin } } }

  func part(named identity: FileIdentity) -> Part? {
    state.withLock { $0.parts.first { $0.identity == identity } }
  }

  /// The bytes between two offsets, and from which offset on they are held.
  func bytes(from: UInt64, to: UInt64) -> (bytes: [UInt8]?, start: UInt64) {
    state.withLock { ($0.window.bytes(from: from, to: to), $0.window.start) }
  }

  func view(at now: Instant) -> CaptureView {
    state.withLock { state in
      state.isSeen = true
      // When a part is shown, the one before it has ended.
      let reached = state.parts.filter { $0.start <= state.shown }
      let all = reached.map {
        AOFSetView.Entry(file: LinkLine.pinned($0, state), sequence: $0.sequence)
      }
      var (increments, copy) = (all, state.base)
      if state.isNextShown, let next = state.next,
        let first = all.firstIndex(where: { $0.file.pin == next.first })
      {
        (increments, copy) = (Array(all[first...]), next.base)
      }
      let base = AOFSetView.Entry(file: copy.file, sequence: copy.sequence)
      let set = AOFSetView(
        form: LinkNames.form, base: base, increments: increments, manifestModified: nil)
      var held: [PinID: PinnedFile] = [:]
      for entry in all { held[entry.file.pin] = entry.file }
      var view = CaptureView(at: now, dump: nil, aof: .set(set), held: held)
      if let id = state.id {
        let starts = reached.map { ($0.name, $0.start) }
        view.link = LinkView(id: id, starts: Dictionary(starts) { $1 })
      }
      view.isAwaited = state.isAwaited
      return view
    }
  }

  /// Whether the server has no data, as far as is known.
  var isEmpty: Bool {
    state.withLock { !isContinued && !hadData && $0.stream.dataEnd == 0 }
  }

  /// Whether the server had no data when this was made, and has some now.
  func isOutdated(by info: ReplicationInfo) -> Bool { isEmpty && info.hasData != false }

  /// Notes that a restore gives the history up to this position.
  func confirm(_ log: RestorableLog, in timeline: TimelineNumber) {
    state.withLock { state in
      guard !state.isCut, let part = state.parts.first(where: { $0.pin == log.pin }) else { return }
      state.durable = max(state.durable ?? 0, part.start + log.offset)
      state.isFollowed = true
      state.timelines.insert(timeline)
      guard let next = state.next else { return }
      if part.pin == next.first { state.isNextShown = true }
      if let base = log.base, base.fingerprint == next.base.streamed {
        state.base = next.base
        let first = state.parts.firstIndex { $0.pin == next.first } ?? 0
        state.parts.removeFirst(first)
        (state.next, state.isNextShown) = (nil, false)
      }
    }
    trim()
  }

  func freeze(from monotonic: Int64) {
    state.withLock { $0.frozenFrom = $0.frozenFrom ?? monotonic }
  }

  var isStale: Bool { state.withLock { $0.isStale } }
  func makeStale() { state.withLock { $0.isStale = true } }

  /// A comparison has taken the cut into account.
  func compared() { state.withLock { $0.isCut = false } }

  /// Up to which offset of a part the log of a timeline is known to be the server's stream.
  func proved(_ part: Part, in timeline: TimelineNumber) -> UInt64 {
    state.withLock { state in
      guard state.timelines.contains(timeline), var durable = state.durable else { return 0 }
      if let fork = state.fork, fork.timelines.contains(timeline) {
        durable = min(durable, fork.offset)
      }
      return max(durable, part.start) - part.start
    }
  }
  func holds(from: UInt64, to: UInt64) -> Bool {
    state.withLock { from >= $0.window.start && to <= $0.window.end }
  }

  private func trim() {
    state.withLock { state in
      guard let durable = state.durable, durable > state.window.start else { return }
      let pending = Int(state.window.end - min(durable, state.window.end))
      let kept = UInt64(max(0, min(limits.keptMax, limits.heldMax - pending)))
      state.window.drop(below: durable - min(durable, kept))
    }
  }
}

extension FileMoment {
  init(_ instant: Instant) {
    let seconds = instant.milliseconds / 1000
    self.init(seconds: seconds, nanoseconds: (instant.milliseconds - seconds * 1000) * 1_000_000)
  }
}

// MARK: The audit

extension LinkLine {
  /// The set as a look sees it, and the server's offset up to which the stream was received.
  var facts: (base: PinnedFile, files: [PinnedFile], lastStart: UInt64, received: UInt64) {
    state.withLock { state in
      (
        state.base.file, state.parts.map { LinkLine.pinned($0, state) },
        state.parts.last?.start ?? 0, state.window.end
      )
    }
  }
}

/// The names of the files that a restore makes from the history.
enum LinkNames {
  static let form = AOFForm.multiPart(
    directory: "appendonlydir", manifest: "appendonly.aof.manifest")
  static func base(_ number: Int64) -> String { "appendonly.aof.\(number).base.rdb" }
  static func log(_ number: Int64) -> String { "appendonly.aof.\(number).incr.aof" }
}
