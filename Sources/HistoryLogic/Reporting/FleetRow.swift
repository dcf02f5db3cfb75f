package import BackupTypes

/// One row: one repository of many.
package struct FleetRow: Sendable, Equatable, Encodable {
  /// What somebody has to do about it. The most urgent state comes first.
  package enum State: String, Sendable, CaseIterable, Encodable {
    /// Part of it can't be read, or it has no descriptor.
    case damaged
    /// The newest state may be the result of an accident, and nobody has decided yet.
    case suspect
    /// The last drill failed.
    case drillFailed = "drill-failed"
    /// The credentials are not sufficient.
    case denied
    /// It could not be read for another reason.
    case unavailable
    /// It is encrypted, and the given key does not open it, or no key was given.
    case locked
    /// It was written by a newer release.
    case newer
    /// Most Redis keys were removed, and nobody has accepted that.
    case removed
    /// There is no restore point.
    case empty
    /// The newest restore point is older than the requested maximum.
    case old
    case fine
  }

  package struct LastDrill: Sendable, Equatable, Encodable {
    @Stamped package var at: Instant
    package var isPassed: Bool
  }

  /// The path below the prefix. "." is the prefix itself.
  package var name: String
  package var location: String
  package var state: State
  /// What is wrong, in words.
  package var problem: String?
  package var remedy: String?
  package var repository: String?
  package var cipher: String?
  package var source: String?
  package var newest: String?
  package var newestInstant: String?
  package var ageSeconds: Int64?
  package var recoverableFrom: String?
  package var windows: Int?
  package var objects: Int?
  package var bytes: UInt64?
  package var lastDrill: LastDrill?

  /// The exit code of `fleet` if this is the most urgent row.
  package var exitCode: ExitCode {
    switch state {
    case .damaged, .drillFailed: .corrupt
    case .suspect: .suspect
    case .denied, .unavailable: .storeUnavailable
    case .locked: .wrongKey
    case .newer: .versionMismatch
    case .empty: .noBackup
    case .removed, .old, .fine: .success
    }
  }

  package var needsPerson: Bool { state != .fine }

  /// The result of reading a repository.
  package enum Facts: Sendable {
    case picture(Chronicle)
    /// - Parameter cipher: given if the descriptor could be read.
    case failed(LifeboatError, cipher: String?)
  }

  /// - Parameter ageMax: the maximum age of the newest restore point, in milliseconds; nil: any.
  package init(name: String, location: String, _ facts: Facts, ageMax: Int64?, now: Instant) {
    self.name = name
    self.location = location
    switch facts {
    case .failed(let error, let cipher):
      self.cipher = cipher
      state = FleetRow.state(of: error)
      problem = error.inOneLine
      remedy = error.hint
    case .picture(let chronicle):
      (state, problem, remedy) = FleetRow.judge(chronicle, ageMax, now)
      repository = chronicle.repository
      cipher = chronicle.cipher
      source = chronicle.timelines.last?.source
      newest = chronicle.newest?.id
      newestInstant = chronicle.newest?.at.description
      ageSeconds = chronicle.newest.map { max(0, now.since($0.at)) / 1000 }
      let spans = chronicle.timelines.flatMap(\.windows) + chronicle.earlier
      let points = chronicle.timelines.flatMap(\.points).map(\.at)
      recoverableFrom = (spans.map(\.from) + points).min()?.description
      windows = spans.count + points.count
      objects = chronicle.objects
      bytes = chronicle.bytes
      lastDrill = chronicle.lastDrill.map { LastDrill(at: $0.at, isPassed: $0.isPassed) }
    }
  }

  private static func state(of error: LifeboatError) -> State {
    switch error.code {
    case .storeUnavailable: error.isDenied ? .denied : .unavailable
    case .wrongKey: .locked
    case .versionMismatch: .newer
    case .noBackup: .empty
    case .corrupt: .damaged
    default: .unavailable
    }
  }

  private static func judge(
    _ chronicle: Chronicle, _ ageMax: Int64?, _ now: Instant
  ) -> (State, problem: String?, remedy: String?) {
    if chronicle.recordsUnreadable > 0 || !chronicle.unreadablePins.isEmpty {
      let count = max(chronicle.recordsUnreadable, chronicle.unreadablePins.count)
      return (
        .damaged, "\(counted(count, "record")) can't be read",
        "`lifeboat verify` lists all damage"
      )
    }
    if let suspicion = chronicle.suspicion {
      return (
        .suspect,
        "the newest state may be the result of an accident: timeline \(suspicion.timeline) began with "
          + suspicion.detail, "`lifeboat list` shows both states, and the commands"
      )
    }
    if let loss = chronicle.newestLoss {
      return (
        .damaged, "what was backed up after the newest restore point is lost: \(loss)",
        "`lifeboat verify` lists all damage"
      )
    }
    if let drill = chronicle.lastDrill, !drill.isPassed {
      return (
        .drillFailed, "the last drill failed: \(drill.differences.first ?? "see its record")",
        "`lifeboat verify --drill` repeats it"
      )
    }
    if let removal = chronicle.openRemoval {
      return (.removed, removal.text, "`lifeboat list` shows the commands that undo or accept it")
    }
    guard let newest = chronicle.newest else {
      return (
        .empty, "there is no restore point yet",
        "`lifeboat status` and the log of ship say what it waits for"
      )
    }
    let age = now.since(newest.at)
    if let ageMax, age > ageMax {
      return (
        .old,
        "the newest restore point is \(humanDuration(milliseconds: age)) old: nothing was written "
          + "since then, or nothing is being shipped",
        "run `lifeboat status` in its pod or on its machine"
      )
    }
    return (.fine, nil, nil)
  }
}

/// The repositories below a prefix. Those that need somebody come first.
package struct Fleet: Sendable, Encodable {
  package var location: String
  @Stamped package var at: Instant
  /// How many repositories were found.
  package var repositories: Int
  /// How many repositories are in each state.
  package var states: [String: Int]
  package var rows: [FleetRow]
  /// Repositories, or places that may contain some, that were not looked at because there are too many.
  package var leftOut: Int

  /// - Parameter rows: in any order.
  package init(location: String, at: Instant, rows: [FleetRow], leftOut: Int) {
    self.location = location
    self.at = at
    self.leftOut = leftOut
    repositories = rows.count
    states = Dictionary(grouping: rows, by: \.state.rawValue).mapValues(\.count)
    let rank = Dictionary(
      uniqueKeysWithValues: FleetRow.State.allCases.enumerated().map { ($1, $0) })
    // Within a state, the repository with the oldest newest restore point comes first.
    self.rows = rows.sorted { a, b in
      let (first, second) = (rank[a.state] ?? 0, rank[b.state] ?? 0)
      if first != second { return first < second }
      let (older, newer) = (a.ageSeconds ?? -1, b.ageSeconds ?? -1)
      return older != newer ? older > newer : a.name < b.name
    }
  }

  /// The exit code of the most urgent row. If there are no rows, there is provably no backup.
  package var exitCode: ExitCode {
    if rows.isEmpty { return .noBackup }
    return rows.lazy.map(\.exitCode).first { $0 != .success } ?? .success
  }
}
