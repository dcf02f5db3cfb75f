package import BackupFormat
package import BackupTypes

/// The history of one Redis's backups, which `report` and `list` draw.
///
/// Everything in it comes from a complete listing and from records; no log is downloaded. Its size is
/// bounded, however large the repository is (`ChronicleBuilder.Bounds`): parts that are too small or too old
/// to be drawn are merged or left out, and counted. Its text is printable, but still untrusted for HTML.
package struct Chronicle: Sendable, Equatable, Encodable {
  /// A span of time in which every mark is a restore point. Without a write between two marks the state of
  /// the first is also that of the second, so idle time is not a gap.
  package struct Window: Sendable, Hashable, Encodable {
    @Stamped package var from: Instant
    @Stamped package var to: Instant
    /// Whether it is after the position where a successor continued, so that it is not part of the present
    /// history.
    package var isAbandoned: Bool
    package init(from: Instant, to: Instant, isAbandoned: Bool = false) {
      self.from = from
      self.to = to
      self.isAbandoned = isAbandoned
    }
  }
  /// A full copy that is itself a restore point: a single instant.
  package struct Point: Sendable, Hashable, Encodable {
    package var id: String
    @Stamped package var at: Instant
    package init(id: String, at: Instant) {
      self.id = id
      self.at = at
    }
  }
  package struct Timeline: Sendable, Equatable, Encodable {
    package var number: TimelineNumber
    package var source: String
    package var instance: String
    @Stamped package var claimedAt: Instant
    package var parent: TimelineNumber?
    package var fork: String?
    /// Its shipper ended cleanly, with everything on disk durable.
    package var isClosed: Bool
    package var suspicion: String?
    package var snapshots: Int
    package var windows: [Window]
    package var points: [Point]
    package var isAbandoned: Bool { windows.contains { $0.isAbandoned } }
    package init(
      number: TimelineNumber, source: String, instance: String, claimedAt: Instant,
      parent: TimelineNumber? = nil, fork: String? = nil, isClosed: Bool = false,
      suspicion: String? = nil, snapshots: Int = 0, windows: [Window] = [], points: [Point] = []
    ) {
      self.number = number
      self.source = source
      self.instance = instance
      self.claimedAt = claimedAt
      self.parent = parent
      self.fork = fork
      self.isClosed = isClosed
      self.suspicion = suspicion
      self.snapshots = snapshots
      self.windows = windows
      self.points = points
    }
  }
  package struct Event: Sendable, Equatable, Encodable {
    package enum Kind: String, Sendable, CaseIterable, Encodable {
      /// A shipper claimed; also the first claim of a repository.
      case claim
      /// That claim began with a state that may be the result of an accident.
      case suspect
      /// A command removed a whole database.
      case destructive
      /// Most keys disappeared between two snapshots, and no such command explains it.
      case drop
      /// The chain begins with another full copy from here on.
      case rewrite
      /// A restore point is kept until its pin is released.
      case pin
      /// A full copy was found damaged.
      case quarantine
      case drill
      /// A shipper ended cleanly.
      case end
    }
    package var kind: Kind
    @Stamped package var at: Instant
    package var timeline: TimelineNumber?
    package var detail: String
    /// The `restore` options for the state that the event refers to, `--point 2.7@1:4096`.
    package var restore: String?
    package init(
      kind: Kind, at: Instant, timeline: TimelineNumber?, detail: String, restore: String? = nil
    ) {
      self.kind = kind
      self.at = at
      self.timeline = timeline
      self.detail = detail
      self.restore = restore
    }
  }
  package struct Generation: Sendable, Equatable, Encodable {
    package var id: String
    package var kind: GenerationIndex.Kind
    @Stamped package var at: Instant
    package var bytes: UInt64
    package var keys: UInt64?
    package var elements: UInt64?
    package var server: String?
    package var isUnverified: Bool
    package var isQuarantined: Bool
    package init(_ index: GenerationIndex, isQuarantined: Bool) {
      id = index.generation.description
      kind = index.kind
      at = index.contentAt
      bytes = index.size
      keys = index.dataset?.keys
      elements = index.dataset?.elements
      server = index.dataset?.server.map { printable($0, limit: 60) }
      isUnverified = index.verdict == .unverified
      self.isQuarantined = isQuarantined
    }
  }
  /// The newest state may be the result of an accident, and nobody has chosen yet.
  package struct OpenSuspicion: Sendable, Equatable, Encodable {
    package var timeline: TimelineNumber
    package var detail: String
    package var pin: String
    package var before: String
    package init(timeline: TimelineNumber, detail: String, pin: String, before: String) {
      self.timeline = timeline
      self.detail = detail
      self.pin = pin
      self.before = before
    }
  }
  /// Data was removed in the present history. A person may want it back.
  package struct Removal: Sendable, Equatable, Encodable {
    /// The command that emptied a database. Nil: most keys disappeared between `from` and `at`, for example
    /// by a series of DELs.
    package var command: String?
    @Stamped package var from: Instant
    @Stamped package var at: Instant
    /// According to the last snapshots before and after it; nil if unknown.
    package var keysBefore: UInt64?
    package var keysAfter: UInt64?
    /// The `restore` options for the state before it.
    package var restore: String
    /// The pin in force that keeps that state.
    package var pin: String?
    /// Whether nobody has accepted it: its pin is in force or, if no command is known, the keys have not come
    /// back.
    package var isOpen: Bool
    /// There are about as many keys as before, perhaps others.
    package var isRefilled = false
    package init(
      command: String? = nil, from: Instant, at: Instant, keysBefore: UInt64? = nil,
      keysAfter: UInt64? = nil, restore: String, pin: String? = nil, isOpen: Bool = false
    ) {
      self.command = command
      self.from = from
      self.at = at
      self.keysBefore = keysBefore
      self.keysAfter = keysAfter
      self.restore = restore
      self.pin = pin
      self.isOpen = isOpen
    }
  }
  /// A pin in force.
  package struct PinEntry: Sendable, Equatable, Encodable {
    package var id: String
    /// The name that a person gave to it.
    package var name: String?
    package var reason: String
    @Stamped package var at: Instant
    @Stamped package var until: Instant
    package var point: String
    package init(
      id: String, name: String? = nil, reason: String, at: Instant, until: Instant, point: String
    ) {
      self.id = id
      self.name = name
      self.reason = reason
      self.at = at
      self.until = until
      self.point = point
    }
  }
  package struct LastDrill: Sendable, Equatable, Encodable {
    @Stamped package var at: Instant
    package var point: String
    package var isPassed: Bool
    package var server: String
    package var restoreSeconds: Double
    package var loadSeconds: Double
    package var bytes: UInt64
    package var keys: UInt64?
    package var values: Int
    package var differences: [String]
    package init(_ drill: Drill) {
      at = drill.at
      point = printable(drill.point, limit: 80)
      isPassed = drill.isPassed
      server = printable(drill.server, limit: 60)
      restoreSeconds = Double(drill.restoreMilliseconds) / 1000
      loadSeconds = Double(drill.loadMilliseconds) / 1000
      bytes = drill.bytes
      keys = drill.keys
      values = drill.values
      differences = drill.differences.prefix(5).map { printable($0) }
    }
  }

  package var repository: String
  package var location: String
  /// `none`, or `aes-256-gcm`.
  package var cipher: String
  @Stamped package var readAt: Instant
  package var objects: Int
  package var bytes: UInt64
  package var foreignObjects: Int
  /// The number of damaged or missing snapshots and indexes, which are not shown.
  package var recordsUnreadable: Int
  /// The point that a restore without a choice gives.
  package var newest: Point?
  /// What was backed up after the newest restore point and can't be restored: log that is missing, or states
  /// whose full copy is damaged.
  package var newestLoss: String?
  package var suspicion: OpenSuspicion?
  /// By time; the newest ones.
  package var removals: [Removal]
  package var pins: [PinEntry]
  /// Pins that can't be read: nothing is deleted until they are released.
  package var unreadablePins: [String]
  /// By number; the newest ones.
  package var timelines: [Timeline]
  package var timelinesLeftOut: Int
  /// The windows of the present history in the timelines that were left out, and their restore points as
  /// windows without length.
  package var earlier: [Window]
  /// Full copies that are restore points themselves, but too many to be shown.
  package var pointsLeftOut: Int
  /// By time; of each kind the newest ones.
  package var events: [Event]
  package var eventsLeftOut: [String: Int]
  /// By time; the newest ones.
  package var generations: [Generation]
  package var generationsLeftOut: Int
  package var lastDrill: LastDrill?
  package var log: LogSeries

  package init(
    repository: String, location: String, cipher: String, readAt: Instant, objects: Int = 0,
    bytes: UInt64 = 0, foreignObjects: Int = 0, recordsUnreadable: Int = 0, newest: Point? = nil,
    suspicion: OpenSuspicion? = nil, removals: [Removal] = [], pins: [PinEntry] = [],
    unreadablePins: [String] = [], timelines: [Timeline] = [], timelinesLeftOut: Int = 0,
    earlier: [Window] = [], pointsLeftOut: Int = 0, events: [Event] = [],
    eventsLeftOut: [String: Int] = [:], generations: [Generation] = [],
    generationsLeftOut: Int = 0, lastDrill: LastDrill? = nil, log: LogSeries = LogSeries()
  ) {
    self.repository = repository
    self.location = location
    self.cipher = cipher
    self.readAt = readAt
    self.objects = objects
    self.bytes = bytes
    self.foreignObjects = foreignObjects
    self.recordsUnreadable = recordsUnreadable
    self.newest = newest
    self.suspicion = suspicion
    self.removals = removals
    self.pins = pins
    self.unreadablePins = unreadablePins
    self.timelines = timelines
    self.timelinesLeftOut = timelinesLeftOut
    self.earlier = earlier
    self.pointsLeftOut = pointsLeftOut
    self.events = events
    self.eventsLeftOut = eventsLeftOut
    self.generations = generations
    self.generationsLeftOut = generationsLeftOut
    self.lastDrill = lastDrill
    self.log = log
  }
}
