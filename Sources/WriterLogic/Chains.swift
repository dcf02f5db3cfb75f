package import BackupFormat
package import BackupTypes
import RedisFormats

/// The chains of a data directory, oldest first: old chains that are only read to their end (*drained*), then
/// the one that is followed.
package struct Chains: Sendable {
  /// A chain that is no longer continued but not yet read to its end.
  package struct Draining: Sendable {
    package internal(set) var chain: Chain
    /// When it was last written.
    package let until: Instant
  }

  package internal(set) var followed: Chain?
  package private(set) var draining: [Draining] = []
  /// The newest chain that is readable and was read to its end, and how many keys it holds.
  private(set) var closed: (chain: ClosedChain, keys: KeyBounds?)?
  private var nextOrdinal = 1

  init(followed: Chain?, closed: ClosedChain?) {
    self.followed = followed
    self.closed = closed.map { ($0, nil) }
    self.followed?.anchorLegacyIfReady()
  }

  var all: [Chain] { draining.map(\.chain) + (followed.map { [$0] } ?? []) }
  package var files: [FollowedFile] { all.flatMap(\.files) }
  var isReadable: Bool { followed?.readableAnchor != nil }

  /// The pins that are still read, except those of uploads.
  var pins: Set<PinID> {
    draining.reduce(into: followed?.pins ?? []) { $0.formUnion($1.chain.files.map(\.pin)) }
  }

  mutating func withFile(_ pin: PinID, _ change: (inout FollowedFile) -> Void) {
    if let index = followed?.files.firstIndex(where: { $0.pin == pin }) {
      change(&followed!.files[index])
      return
    }
    for position in draining.indices {
      if let index = draining[position].chain.files.firstIndex(where: { $0.pin == pin }) {
        change(&draining[position].chain.files[index])
        return
      }
    }
  }

  /// Ordinals number the files of a timeline in the order in which they were first opened.
  mutating func assignOrdinals() {
    guard var chain = followed else { return }
    for index in chain.files.indices where chain.files[index].ordinal == nil {
      let file = chain.files[index]
      let isWhole = file.isFinal && file.start == file.size && file.start > 0
      if isWhole { continue }
      chain.files[index].ordinal = nextOrdinal
      nextOrdinal += 1
    }
    followed = chain
  }

  // MARK: From following to draining

  /// Follows another chain. Nothing proves that it continues the last one. The last one is drained, and its
  /// readable part stays the newest state until the new chain can be read.
  /// - Parameter upload: the file that is being uploaded. It may still become the BASE of the old chain.
  mutating func follow(_ next: Chain?, uploading upload: PinID?, lastMark: Instant) {
    if var old = followed {
      old.leave()
      // Unscanned bytes count, too: a dump must not replace log that has not been read yet.
      let until = old.files.last?.lastWrite ?? lastMark
      let isUploading = upload != nil && upload == old.candidate?.file.pin
      if old.anchor != nil || isUploading { draining.append(Draining(chain: old, until: until)) }
    }
    followed = next
  }

  /// A file that is not the last but ends inside a command can't be loaded. The chain ends there, and the
  /// files after it wait for the next BASE.
  /// - Returns: that file.
  mutating func divideAtTornFile(uploading upload: PinID?, lastMark: Instant) -> FollowedFile? {
    guard let torn = followed?.tornFile,
      let index = followed?.files.firstIndex(where: { $0.pin == torn.pin }),
      let rest = followed?.divide(behind: index)
    else { return nil }
    follow(rest, uploading: upload, lastMark: lastMark)
    return torn
  }

  /// A BASE is durable.
  mutating func anchor(on base: Snapshot.Base, pin: PinID) -> IllegalTransition? {
    var illegal = followed?.anchor(on: base, pin: pin)
    for position in draining.indices {
      illegal = illegal ?? draining[position].chain.anchor(on: base, pin: pin)
    }
    return illegal
  }

  /// Log is durable: the followed chain can perhaps be read, or begin with a newer BASE.
  mutating func advance() {
    followed?.anchorLegacyIfReady()
    followed?.moveToCandidate()
  }

  // MARK: Draining

  /// Drops chains that were read to their end. Their readable part stays recorded.
  /// - Parameters:
  ///   - upload: the file that is being uploaded.
  ///   - named: the ordinals that a durable snapshot names.
  mutating func settle(
    uploading upload: PinID?, named: Set<Int>, _ timeline: TimelineNumber,
    keys: (Chain) -> KeyBounds
  ) {
    letGoOfUnnamed(upload, named)
    for old in draining where old.chain.files.allSatisfy(\.isDurable) {
      if let anchor = old.chain.anchor, !isReadable {
        let record = old.chain.record(from: anchor, timeline)
        closed = (ClosedChain(record: record, until: old.until), keys(old.chain))
      }
    }
    draining.removeAll { old in
      // If the upload of its BASE has ended without one, the chain can't be read, and nothing of it is
      // needed.
      if old.chain.anchor == nil { return upload != old.chain.candidate?.file.pin }
      return old.chain.files.allSatisfy(\.isDurable)
    }
    if isReadable { closed = nil }
  }

  /// A snapshot lists only the newest of the drained chains, and none once the followed chain is readable. If
  /// no snapshot has named a file of another drained chain by then, none ever will, and its log can't be
  /// sent.
  private mutating func letGoOfUnnamed(_ upload: PinID?, _ named: Set<Int>) {
    let listed = isReadable ? nil : draining.lastIndex { $0.chain.anchor != nil }
    for position in draining.indices where position != listed {
      let old = draining[position].chain
      guard old.anchor != nil || upload != old.candidate?.file.pin,
        let cut = old.files.firstIndex(where: {
          !$0.isDurable && !($0.ordinal.map(named.contains) ?? false)
        })
      else { continue }
      draining[position].chain.files.removeSubrange(cut...)
    }
  }

  /// The shrink guard found no accident in the followed chain, so it becomes the newest state.
  mutating func judge() -> IllegalTransition? {
    closed = nil
    return followed?.judge()
  }

  /// The drained chain that a snapshot lists: the oldest that still has log to be sent, else the newest.
  var readableDraining: Draining? {
    draining.first { $0.chain.isReadableAndPending } ?? draining.last { $0.chain.anchor != nil }
  }

  /// The readable chain that is no longer followed. In the order of the history, because log is sent only
  /// for files that a snapshot names.
  func readableOld(_ timeline: TimelineNumber) -> ClosedChain? {
    if let old = readableDraining, let anchor = old.chain.anchor {
      return ClosedChain(record: old.chain.record(from: anchor, timeline), until: old.until)
    }
    return closed?.chain
  }

  // MARK: The log

  /// The oldest log bytes that are not durable and whose ordinal a durable snapshot names. Invariant (no
  /// gap): a file waits until every byte of the file before it is durable.
  func nextShipment(named: Set<Int>) -> LogShipment? {
    for chain in all {
      for file in chain.files {
        if let shipment = file.nextShipment() {
          if named.contains(shipment.ordinal) { return shipment }
          break
        }
        if !file.isDurable { break }
      }
    }
    return nil
  }

  /// How far the followed log is known to reach. A dump is opened before the log is measured, so a dump
  /// that is first seen now holds nothing from after this position.
  func logPosition(_ timeline: TimelineNumber) -> LogPosition? {
    guard let file = followed?.files.last else { return nil }
    if let ordinal = file.ordinal {
      return LogPosition(timeline: timeline, ordinal: ordinal, offset: file.size)
    }
    return file.inherited.last.map {
      LogPosition(timeline: $0.timeline, ordinal: $0.ordinal, offset: file.size)
    }
  }

  /// Whether the durable log of the followed chain reaches `target`; nil: its known end.
  func hasCaughtUp(with target: LogPosition?, _ timeline: TimelineNumber) -> Bool {
    guard let files = followed?.files else { return false }
    return files.allSatisfy { file in
      if file.isDurable { return true }
      guard let target else { return false }
      guard let ordinal = file.ordinal else { return true }
      return LogPosition(timeline: timeline, ordinal: ordinal, offset: file.durable) >= target
    }
  }
}

/// A chain to which nothing is appended any more, and the last instant seen in it.
package struct ClosedChain: Sendable, Equatable {
  package var record: Snapshot.Chain
  package var until: Instant
  package init(record: Snapshot.Chain, until: Instant) {
    self.record = record
    self.until = until
  }
}

extension Chain {
  /// The chain as a snapshot of `timeline` lists it.
  func record(from anchor: Anchor, _ timeline: TimelineNumber) -> Snapshot.Chain {
    var base: Snapshot.Base?
    if case .base(let record) = anchor.kind { base = record }
    return Snapshot.Chain(form: form, base: base, files: anchor.prefix + listed(timeline))
  }

  /// The files that a snapshot may list.
  func listed(_ timeline: TimelineNumber) -> [Snapshot.LogFile] {
    listable.map { $0.record(timeline) }
  }
}

extension FollowedFile {
  /// The file as spans of log: those of earlier timelines, then ours, which is open while the file grows.
  fileprivate func record(_ timeline: TimelineNumber) -> Snapshot.LogFile {
    var segments = inherited
    if let ordinal {
      let isClosed = isComplete && durable == size
      let end = isClosed ? size : nil
      if end != start || start == 0 {
        segments.append(.init(timeline: timeline, ordinal: ordinal, from: start, to: end))
      }
    }
    return Snapshot.LogFile(file: name, sequence: sequence, segments: segments, identity: identity)
  }
}
