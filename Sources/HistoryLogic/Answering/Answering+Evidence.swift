package import BackupFormat
package import BackupTypes

extension Answering {
  /// A fact that an answer depends on and that was not read yet.
  package enum Need: Sendable, Hashable {
    /// Every snapshot of a timeline.
    case snapshots(TimelineNumber)
    case snapshot(SnapshotKey)
    case index(GenerationID)
    /// The marks inside a log object.
    case marks(ObjectPath)
    /// The pins in force.
    case pins
    /// What the log of a snapshot's chain says about a second.
    case second(SecondQuestion)
    /// When the position was seen, if the log of the snapshot's chain can be cut there.
    case boundary(SnapshotKey, LogPosition)
    /// What a search of the log of the snapshot's chain finds.
    case search(LogSearch.Question, SnapshotKey)
  }

  /// Thrown by a pure function instead of an answer: these facts have to be read first. Then the function is
  /// called again, with more evidence.
  package struct Unknown: Error {
    package var needs: [Need]
  }

  /// The facts that were read for an answer, and damage that was found instead.
  package struct Evidence: Sendable {
    package struct Snapshots: Sendable {
      /// By sequence, without those that another process wrote.
      package var read: [Int: Snapshot]
      package var damaged: [Int: LifeboatError]
      package init(read: [Int: Snapshot], damaged: [Int: LifeboatError] = [:]) {
        self.read = read
        self.damaged = damaged
      }
    }
    package typealias Fact<Value> = Result<Value, LifeboatError>

    package var snapshots: [TimelineNumber: Snapshots] = [:]
    /// Nil: written by another process, so it does not count.
    package var single: [SnapshotKey: Fact<Snapshot?>] = [:]
    package var indexes: [GenerationID: Fact<GenerationIndex>] = [:]
    package var marks: [ObjectPath: [Mark]] = [:]
    package var pins: [Pin]?
    /// The ids of the pins that can't be read.
    package var unreadablePins: [String] = []
    package var seconds: [SecondQuestion: Fact<SecondReading>] = [:]
    package var boundaries: [SnapshotKey: [LogPosition: Instant?]] = [:]
    package var searches: [SnapshotKey: LogSearch] = [:]

    package init() {}

    // MARK: What is wanted

    /// The readable snapshots of a timeline.
    func readable(_ timeline: TimelineNumber) throws(Unknown) -> [Int: Snapshot] {
      guard let known = snapshots[timeline] else { throw Unknown(needs: [.snapshots(timeline)]) }
      return known.read
    }

    /// The snapshots of a timeline. A damaged one is an error, since it could change the answer.
    func all(_ timeline: TimelineNumber) throws -> [Int: Snapshot] {
      let read = try readable(timeline)
      if let damage = snapshots[timeline]!.damaged.min(by: { $0.key < $1.key }) {
        throw damage.value
      }
      return read
    }

    /// Nil: written by another process, so it does not count.
    package func snapshot(_ key: SnapshotKey) throws -> Snapshot? {
      if let known = snapshots[key.timeline] {
        if let damage = known.damaged[key.sequence] { throw damage }
        return known.read[key.sequence]
      }
      guard let known = single[key] else { throw Unknown(needs: [.snapshot(key)]) }
      return try known.get()
    }

    func index(_ id: GenerationID) throws -> GenerationIndex {
      guard let known = indexes[id] else { throw Unknown(needs: [.index(id)]) }
      return try known.get()
    }

    /// Nil if it can't be read.
    func readableIndex(_ id: GenerationID) throws(Unknown) -> GenerationIndex? {
      guard let known = indexes[id] else { throw Unknown(needs: [.index(id)]) }
      return try? known.get()
    }

    func marks(of objects: [InnerMarks]) throws(Unknown) -> [(InnerMarks, [Mark])] {
      let missing = Set(objects.map(\.name)).filter { marks[$0] == nil }
      guard missing.isEmpty else { throw Unknown(needs: missing.map { .marks($0) }) }
      return objects.map { ($0, marks[$0.name]!) }
    }

    func pinsInForce() throws(Unknown) -> [Pin] {
      guard let pins else { throw Unknown(needs: [.pins]) }
      return pins
    }

    func second(_ question: SecondQuestion) throws -> SecondReading {
      guard let known = seconds[question] else { throw Unknown(needs: [.second(question)]) }
      return try known.get()
    }

    func boundary(_ key: SnapshotKey, _ position: LogPosition) throws(Unknown) -> Instant? {
      guard let known = boundaries[key]?[position] else {
        throw Unknown(needs: [.boundary(key, position)])
      }
      return known
    }

    /// An answer asks one question only, so its chain says which search it is.
    func search(_ question: LogSearch.Question, _ key: SnapshotKey) throws(Unknown) -> LogSearch {
      guard let known = searches[key] else { throw Unknown(needs: [.search(question, key)]) }
      return known
    }
  }
}
