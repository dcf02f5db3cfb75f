import BackupFormat
package import BackupTypes
package import HistoryLogic
package import ObjectStorage

/// The output of `list`: read with a complete listing, every claim and every snapshot.
package struct RepositoryListing: Sendable, Encodable {
  package struct Timeline: Sendable, Encodable {
    package var number: TimelineNumber
    package var source: String
    package var instance: String
    package var claimedAt: String
    package var parent: TimelineNumber?
    package var fork: String?
    package var isClosed: Bool
    package var isAbandoned: Bool
    /// Whether a later claim leaves out some of its objects, although the store had these before the claim.
    package var isCutOff: Bool
    package var suspicion: String?
    package var points: [Point]
    /// The spans of time that it can restore, and its full copies that are restore points by themselves.
    package var windows: [Window]
    /// Log whose BASE never became durable, in a timeline without a restore point.
    package var unfinished: UnfinishedDocument?
  }
  package struct Point: Sendable, Encodable {
    package var id: String
    package var primary: String
    package var cause: String
    /// The instants that can be restored with this snapshot; the same instant twice for a dump.
    package var from: String
    package var to: String
    package var keys: UInt64?
    package var isUnverified: Bool
    package var destructive: String?
  }
  package struct Window: Sendable, Encodable {
    @Stamped package var from: Instant
    @Stamped package var to: Instant
    /// The restore point at its end.
    package var point: String?
    /// How many keys there are at its end. Absent: unknown.
    package var keys: UInt64?
    /// Whether the number was counted in a full copy. Otherwise it is that of the snapshot nearest to the
    /// end.
    package var isCounted: Bool
    /// A full copy: one instant.
    package var isCopy: Bool
    package var isAbandoned: Bool
    package var isUnverified: Bool
  }

  /// The last drill.
  package struct DrillEntry: Sendable, Encodable {
    package var id: String
    package var at: String
    package var point: String
    package var isPassed: Bool
    package var server: String
    package var restoreSeconds: Double
    package var loadSeconds: Double
    package var differences: [String]

    fileprivate init(_ drill: Drill) {
      id = drill.id
      at = drill.at.description
      point = printable(drill.point)
      isPassed = drill.isPassed
      server = printable(drill.server)
      restoreSeconds = Double(drill.restoreMilliseconds) / 1000
      loadSeconds = Double(drill.loadMilliseconds) / 1000
      differences = drill.differences.map { printable($0) }
    }
  }

  /// Log that was durable and is missing now.
  package struct Loss: Sendable, Encodable {
    package var timeline: TimelineNumber
    package var ordinal: Int
    /// The server's file, and its missing bytes.
    package var file: String
    package var from: UInt64
    package var to: UInt64
    /// The prefix of the names of the missing objects.
    package var object: String
    /// Writes between these times can't be restored.
    package var since: String
    package var until: String
    /// The complete restore points on both sides.
    package var before: String?
    package var behind: String?
  }

  package var repository: String
  package var location: String
  /// `none`, or `aes-256-gcm`: encrypted, and the given key opens it.
  package var cipher: String
  package var objects: Int
  package var bytes: UInt64
  package var foreignObjects: Int
  package var newest: String?
  package var newestInstant: String?
  /// The newest restore point is the last complete state before a loss.
  package var isNewestBeforeLoss: Bool
  package var timelines: [Timeline]
  /// What a person should know first, with the commands to run.
  package var notices: [Chronicle.Notice]
  package var losses: [Loss]
  package var pins: [Chronicle.PinEntry]
  /// Unreadable pins in force: nothing is deleted until they are released.
  package var unreadablePins: [String]
  /// Generations that were found damaged and count as absent.
  package var quarantined: [String]
  /// Releases, quarantines, prune records, drills and log objects that can't be read, by the names of their
  /// objects, or are of another repository or writer. They do not count: anyone who may create objects can
  /// have written them.
  package var unusable: [String]
  /// Log objects with other bytes than an object that overlaps them.
  package var contradicting: [String]
  /// Unreadable records, by the names of their objects. Their content is left out.
  package var unreadable: [String]
  package var lastDrill: DrillEntry?

  package static func make(
    _ store: any ObjectStore, keys: KeySource = .none, url: String? = nil, now: Instant,
    progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
  ) async throws -> RepositoryListing {
    try await read(store, keys: keys, url: url, now: now, progress: progress).listing
  }

  /// Makes the listing, and the data of the drawing below it, from the same records.
  /// - Parameters:
  ///   - url: the value of `--repo`, for commands that are printed.
  ///   - progress: records read, of how many.
  package static func read(
    _ store: any ObjectStore, keys: KeySource = .none, url: String? = nil, now: Instant,
    progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
  ) async throws -> (listing: RepositoryListing, chronicle: Chronicle) {
    guard let repository = try await Repository.open(store, keys: keys) else {
      throw LifeboatError(
        .noBackup, "there is no backup at \(store.location)", hint: "check the bucket and prefix")
    }
    var isLossConfirmed = false
    return try await repository.withHistory { history in
      let counter = ProgressCounter(total: records(history), report: progress)
      let found = try await read(
        HistoryReader(repository: repository, history: history, didRead: { counter.add(1) }),
        repository.command(url), now: now, counter)
      if !found.listing.losses.isEmpty, !isLossConfirmed {
        isLossConfirmed = true
        throw LifeboatError(missing: found.listing.losses[0].object)
      }
      return found
    }
  }

  /// The number of records: each snapshot counts twice, once for the index of its full copy.
  private static func records(_ history: History) -> UInt64 {
    history.claims.keys.reduce(0) { $0 + 2 * UInt64(history.snapshots(of: $1).count) }
  }

  private static func read(
    _ reader: HistoryReader, _ command: RestoreCommand, now: Instant, _ counter: ProgressCounter
  ) async throws -> (listing: RepositoryListing, chronicle: Chronicle) {
    let (repository, history) = (reader.repository, reader.history)
    let location = repository.store.location
    var newest = try await reader.newestUnlessDamaged()
    var timelines: [Timeline] = []
    var unreadable = history.unreadable.map { ObjectPath.claim($0.timeline).text }
    var losses: [(LogLoss, Loss)] = []
    var drawing = ChronicleBuilder(
      history: history, descriptor: repository.descriptor, location: location, now: now)
    for number in history.claims.keys.sorted() {
      timelines.append(try await timeline(number, reader, &drawing, &unreadable, &losses, counter))
    }
    let drills = try await repository.lastDrill(history.catalogue)
    var unusable = history.catalogue.unusable
      .merging(try await repository.prunes(history.catalogue).unusable) { $1 }
      .merging(drills.unusable) { $1 }
    if let point = newest, let end = try await repository.unusableEnd(of: point, in: history) {
      if history.catalogue.hasElsewhere(end) {
        unusable[end] = "other objects have its bytes"
      } else {
        unreadable.append(end.text)
        newest = nil
      }
    }
    drawing.addUnreadable(unreadable.count - history.unreadable.count)
    let chronicle = try await ChronicleReader(reader, memory: nil).finish(
      &drawing, newest: newest, now: now, operationsMax: 0)
    let listing = RepositoryListing(
      repository: repository.id.hexadecimal, location: location,
      cipher: repository.descriptor.cipher.rawValue,
      objects: history.catalogue.objects, bytes: history.catalogue.bytes,
      foreignObjects: history.catalogue.foreign, newest: newest?.id,
      newestInstant: newest?.instant.description,
      isNewestBeforeLoss: chronicle.newestLoss != nil,
      timelines: timelines, notices: chronicle.notices(command), losses: losses.map(\.1),
      pins: chronicle.pins, unreadablePins: chronicle.unreadablePins,
      quarantined: history.catalogue.quarantined.map(\.description).sorted(),
      unusable: unusable.keys.map { printable($0.text) }.sorted(),
      contradicting: history.catalogue.contradicting.keys.map { printable($0.text) }.sorted(),
      unreadable: unreadable,
      lastDrill: drills.drill.map { DrillEntry($0) })
    return (listing, chronicle)
  }

  private static func timeline(
    _ number: TimelineNumber, _ reader: HistoryReader, _ drawing: inout ChronicleBuilder,
    _ unreadable: inout [String], _ losses: inout [(LogLoss, Loss)],
    _ counter: ProgressCounter
  ) async throws -> Timeline {
    let history = reader.history
    let claim = history.claims[number]!
    let (snapshots, damaged) = try await reader.readableSnapshots(of: number)
    unreadable += damaged.keys.sorted().map { ObjectPath.snapshot(number, sequence: $0).text }
    let inOrder = snapshots.sorted { $0.key < $1.key }.map(\.value)
    let drawn = drawing.add(number, inOrder.lazy.map { SnapshotTrace($0) })
    let finder = PointFinder(history: history, timeline: number, snapshots: snapshots)
    add(&losses, finder)
    var indexes: [GenerationID: GenerationIndex] = [:]
    var points: [Point] = []
    var copies: [Int: Copy] = [:]
    for sequence in snapshots.keys.sorted() {
      counter.add(1)
      let snapshot = snapshots[sequence]!
      guard let point = finder.newest(of: snapshot) else { continue }
      let generation =
        point.primary == .rdb ? snapshot.dump?.generation : snapshot.chain?.base?.generation
      if let generation, indexes[generation] == nil {
        do {
          indexes[generation] = try await reader.repository.index(generation)
        } catch let error as LifeboatError where error.isDamage {
          let name = ObjectPath.index(generation).text
          if !unreadable.contains(name) { unreadable.append(name) }
        }
      }
      let index = generation.flatMap { indexes[$0] }
      copies[sequence] = Copy(
        keys: index?.dataset?.keys, isUnverified: index?.verdict == .unverified)
      let window = finder.window(of: snapshot)
      let begin = point.primary == .aof ? index?.contentAt : nil
      points.append(
        Point(
          id: point.id, primary: point.primary.rawValue, cause: snapshot.cause.shown,
          from: (begin.map { min($0, window?.from ?? $0) } ?? window?.from ?? point.instant)
            .description,
          to: point.instant.description, keys: index?.dataset?.keys,
          isUnverified: index?.verdict == .unverified, destructive: snapshot.destructive?.command))
    }
    return Timeline(
      number: number, source: printable(claim.source), instance: printable(claim.instance),
      claimedAt: claim.claimedAt.description, parent: claim.parent,
      fork: claim.fork?.description, isClosed: snapshots.values.contains { $0.isClean },
      isAbandoned: history.isAbandoned(number), isCutOff: history.cutOff[number] != nil,
      suspicion: claim.suspicion.map { printable($0.detail) },
      points: points,
      windows: drawn.map { windows($0, finder, inOrder, copies) } ?? [],
      unfinished: points.isEmpty
        ? history.unfinishedLogs(inOrder).first.map { UnfinishedDocument($0) } : nil)
  }
}
