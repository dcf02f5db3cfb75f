package import BackupFormat
import BackupTypes
import Synchronization
package import SystemIO

/// The list of what the store acknowledged. Entries are added where a reply of the store is received; the
/// audit reads them.
///
/// It holds no file open, makes no decision and does not know the ship plan. Its size is bounded: one
/// snapshot, the ends of that snapshot's files, and some versions of files.
package final class Acknowledgements: Sendable {
  /// How many versions of files are remembered. The oldest are dropped first.
  private static let versionsMax = 64

  /// Up to which offset the log of one ordinal is acknowledged, without a gap from the first object.
  package struct Reach: Sendable, Equatable {
    package var from: UInt64
    package var to: UInt64
    /// The name of the last object.
    package var last: LogSpan
  }

  fileprivate struct State: Sendable {
    var claim: Claim?
    var snapshot: Snapshot?
    var reaches: [Int: Reach] = [:]
    /// Generations whose index is acknowledged, or was found in the repository.
    var durable: Set<GenerationID> = []
    var versions: [(version: FileVersion, generation: GenerationID)] = []
    var refused: [(version: FileVersion, reason: String)] = []
    /// While there is no claim: what a comparison found in the repository.
    var found: Confirmed?
    /// Objects that the newest state needs, as found by a comparison.
    var foundObjects: [ObjectPath] = []
    let time: any TimeSource
    var count: UInt64 = 0 { didSet { lastAt = time.monotonic } }
    /// When the last acknowledgement arrived, by the monotonic clock, in milliseconds.
    var lastAt: Int64 = 0
  }
  private let state: Mutex<State>

  package init(time: any TimeSource) { state = Mutex(State(time: time)) }

  // MARK: Filled where a reply of the store is received

  /// A claim was written and read back. Acknowledgements of an earlier claim no longer count.
  package func claimed(_ claim: Claim) {
    state.withLock { state in
      state.claim = claim
      state.snapshot = nil
      state.reaches = [:]
      state.found = nil
      state.foundObjects = []
      state.count += 1
    }
  }

  /// The store has the object of this name.
  package func stored(_ name: ObjectPath) {
    state.withLock { state in
      state.count += 1
      switch name {
      case .index(let id): state.durable.insert(id)
      case .log(let timeline, let ordinal, let span) where timeline == state.claim?.timeline:
        guard var reach = state.reaches[ordinal] else {
          state.reaches[ordinal] = Reach(from: span.from, to: span.to, last: span)
          return
        }
        if span.from <= reach.to, span.to > reach.to { (reach.to, reach.last) = (span.to, span) }
        state.reaches[ordinal] = reach
      default: break
      }
    }
  }

  package func stored(_ snapshot: Snapshot) {
    state.withLock { state in
      guard snapshot.timeline == state.claim?.timeline, snapshot.nonce == state.claim?.nonce else {
        return
      }
      state.count += 1
      state.snapshot = snapshot
      let wanted = Set([snapshot.chain?.base?.generation, snapshot.dump?.generation])
      // Generations of earlier snapshots are no longer needed, except those of an upload that just ended.
      if state.durable.count > Acknowledgements.versionsMax {
        state.durable = state.durable.filter { id in
          wanted.contains(id) || state.versions.contains { $0.generation == id }
        }
      }
    }
  }

  /// The file on disk, in this version, has the bytes of the generation: it was read or compared.
  /// - Parameter isDurable: the repository is known to have the generation.
  package func matched(_ version: FileVersion, _ id: GenerationID, isDurable: Bool = false) {
    state.withLock { state in
      if isDurable { state.durable.insert(id) }
      guard !state.versions.contains(where: { $0.version == version && $0.generation == id }) else {
        return
      }
      state.versions.removeAll { $0.version == version }
      state.versions.append((version, id))
      let excess = state.versions.count - Acknowledgements.versionsMax
      if excess > 0 { state.versions.removeFirst(excess) }
    }
  }

  /// The shipping path read this version of a file and can't ship it.
  package func refused(_ version: FileVersion, _ reason: String) {
    state.withLock { state in
      state.refused.removeAll { $0.version == version }
      state.refused.append((version, reason))
      if state.refused.count > Acknowledgements.versionsMax { state.refused.removeFirst() }
    }
  }

  /// There is no claim. A comparison with a complete listing found this in the repository.
  /// - Parameter objects: some objects that the newest state needs.
  package func found(_ confirmed: Confirmed, objects: [ObjectPath]) {
    state.withLock { state in
      state.claim = nil
      state.snapshot = nil
      state.reaches = [:]
      state.found = confirmed
      state.foundObjects = objects
    }
  }

  /// Drops everything: no acknowledgement counts any more.
  package func forget() {
    state.withLock { state in
      let count = state.count
      state = State(time: state.time)
      state.count = count
    }
  }

  // MARK: Read by the audit

  package var confirmed: Confirmed? {
    state.withLock { state in
      if var found = state.found {
        found.refused = Acknowledgements.dictionary(state.refused)
        return found
      }
      guard state.claim != nil else { return nil }
      return state.confirmed
    }
  }

  /// The number of acknowledgements so far. It shows whether anything was written since a look.
  var count: UInt64 { state.withLock { $0.count } }
  var lastAt: Int64 { state.withLock { $0.lastAt } }
  var claim: Claim? { state.withLock { $0.claim } }
  var snapshot: Snapshot? { state.withLock { $0.snapshot } }

  /// The growing file of the chain, and how far its log is acknowledged.
  var openLog: (timeline: TimelineNumber, ordinal: Int, identity: FileIdentity?, reach: Reach)? {
    state.withLock { state in
      guard let file = state.snapshot?.chain?.files.last ?? state.snapshot?.detached?.files.last,
        let segment = file.segments.last, segment.timeline == state.claim?.timeline,
        let reach = state.reaches[segment.ordinal]
      else { return nil }
      return (segment.timeline, segment.ordinal, file.identity, reach)
    }
  }

  /// The log of the chain's files that no longer grow, one segment each.
  var closedLogs: [Snapshot.Segment] {
    state.withLock { state in
      guard state.claim != nil else { return [] }
      let segments = (state.snapshot?.chain?.files ?? []).flatMap(\.segments)
      return segments.filter { $0.to != nil }
    }
  }

  /// Objects that a restore of the newest state needs, one of each kind.
  var essentials: [ObjectPath] {
    state.withLock { state in
      var objects: [ObjectPath] = [.descriptor]
      guard let claim = state.claim else { return objects + state.foundObjects }
      objects.append(.claim(claim.timeline))
      guard let snapshot = state.snapshot else { return objects }
      objects.append(.snapshot(snapshot.timeline, sequence: snapshot.sequence))
      for id in [snapshot.chain?.base?.generation, snapshot.dump?.generation].compactMap({ $0 }) {
        objects.append(.index(id))
      }
      return objects
    }
  }
}

extension Acknowledgements {
  fileprivate static func dictionary(_ refused: [(version: FileVersion, reason: String)])
    -> [FileVersion: String]
  {
    Dictionary(refused.map { ($0.version, $0.reason) }) { $1 }
  }
}

extension Acknowledgements.State {
  fileprivate var confirmed: Confirmed {
    var result = Confirmed(refused: Acknowledgements.dictionary(refused))
    guard let snapshot, let primary = snapshot.primary else { return result }
    let known = self.versions
    func versions(of id: GenerationID) -> Set<FileVersion> {
      durable.contains(id) ? Set(known.filter { $0.generation == id }.map { $0.version }) : []
    }
    if let dump = snapshot.dump { result.dumps = versions(of: dump.generation) }
    result.isDumpNewest = primary == .rdb
    guard primary == .aof || snapshot.chain != nil, let chain = snapshot.chain else {
      return result
    }
    var files: [FileIdentity: UInt64] = [:]
    for file in chain.files {
      guard let identity = file.identity else { continue }
      files[identity] = end(of: file)
    }
    result.chain = Confirmed.Chain(
      base: chain.base.map { .init(name: $0.file, versions: versions(of: $0.generation)) },
      files: files)
    return result
  }

  /// How far a file is durable. The part in earlier timelines was compared before the claim. In our own
  /// timeline only acknowledged log counts.
  private func end(of file: Snapshot.LogFile) -> UInt64 {
    var end: UInt64 = 0
    for segment in file.segments {
      guard segment.from == end else { return end }
      guard segment.timeline == claim?.timeline else {
        guard let to = segment.to else { return end }
        end = to
        continue
      }
      guard let reach = reaches[segment.ordinal], reach.from <= segment.from else { return end }
      end = max(end, reach.to)
    }
    return end
  }
}
