package import BackupFormat
package import BackupTypes
package import HistoryLogic

/// The state machine of a shipper, from its first look until its end: one state, and which state follows each
/// event. It only decides. `Shipper` looks, lists, compares, claims and ships, and reports the results as
/// events.
///
/// Times are monotonic milliseconds.
package struct Writer: Sendable {
  package enum State: Sendable {
    /// It is not known whether the repository holds what is on disk.
    case comparing(Comparing)
    /// The repository lacks nothing of what this look saw.
    case upToDate(CaptureView)
    /// Another writer owns the repository.
    case standby(Standby)
    /// It ships under this claim.
    case writing(Claim)
    /// Something has to be fixed first. The shipper tries again at intervals.
    case blocked(LifeboatError)
  }

  package enum Comparing: Sendable {
    /// Nothing was compared, or something changed since.
    case due
    /// There is something to ship, and nobody else owns the repository.
    case mayClaim
    /// Another process took the timeline's number first.
    case raced
    /// The last timeline ended by itself.
    case ended
  }

  package struct Standby: Sendable {
    package var reason: String
    /// The comparison that led to standby. Nil if the owner claimed while this shipper wrote.
    var comparison: Comparison?
    /// When the repository was asked last.
    var askedAt: Int64 = 0
  }

  package enum Event: Sendable {
    /// A look at the data directory.
    case saw(CaptureView)
    /// The repository lost something that it had.
    case lost
    /// The path leads to another directory. `isSame`: to the same one, mounted again.
    case moved(Ownership, isSame: Bool)
    /// The repository was listed, without comparing.
    case listed(History)
    case compared(CaptureView, Comparison, History)
    case claimed(Claim)
    case raced
    /// The timeline ended. `isAsked`: because of a question that only a person can answer.
    case ended(Ending, isAsked: Bool)
    case failed(LifeboatError)
  }

  /// What to do next.
  package enum Effect: Sendable {
    case wait
    case list
    case compare
    case claim
    case ship
  }

  /// Until when to wait for the next look.
  package enum Wait: Sendable, Equatable {
    /// Until something changes on disk, or the next look is due.
    case change
    /// The same, but at most for this time.
    case atMost(Int64)
    /// For this time, whatever changes. Otherwise a Redis that writes all the time would end every pause
    /// between two timelines at once.
    case pause(Int64)
  }

  package private(set) var state = State.comparing(.due) {
    didSet { Transitions.note("writer", oldValue.name.rawValue, state.name.rawValue) }
  }
  package private(set) var ownership: Ownership
  /// A stop was requested. Little time is left, so the repository is asked sooner.
  package var isEnding = false
  /// The last timeline was written up to now, and ended because of a question.
  package private(set) var isWatched = false
  /// The claims that this process made.
  private var ownClaims: [TimelineNumber: Nonce] = [:]
  /// The highest timeline number that was ever seen taken. Its claim may be deleted while its owner still
  /// writes, so the number is not used again.
  private var highestNumber: TimelineNumber?
  /// How far the newest timeline had grown, and since when that has not changed.
  private var seen: (progress: Progress, at: Int64)?
  private var restart = RestartPause()
  /// When it was blocked last.
  private var failedAt: Int64 = 0

  private struct Progress: Equatable {
    var timeline: TimelineNumber?
    var end: Claim.End?
    var unreadable: UnreadableClaim?
  }

  package init(ownership: Ownership) { self.ownership = ownership }

  /// Takes an event, and returns what to do next. An event that must not happen in the current state blocks
  /// the shipper, with a reason.
  @discardableResult
  package mutating func handle(_ event: Event, now: Int64) -> Effect {
    if let number = event.highestNumber { highestNumber = max(number, highestNumber ?? number) }
    switch (state, event) {
    case (.writing, .ended(let ending, let isAsked)): return end(ending, isAsked: isAsked)
    case (.writing, _), (_, .ended): return refuse(event)
    case (_, .failed(let error)):
      state = .blocked(error)
      failedAt = now
    case (_, .moved(let other, isSame: true)): ownership = other
    case (_, .moved(let other, isSame: false)):
      (ownership, isWatched, seen) = (other, false, nil)
      state = .comparing(.due)
    case (.upToDate, .lost): state = .comparing(.due)
    case (_, .lost): break
    case (_, .saw(let view)): return look(view, now)
    case (.standby(let standby), .listed(let history)):
      guard let comparison = standby.comparison, isStillOwned(history, comparison),
        case .standby(let reason) = decide(comparison, history, now)
      else { return compare() }
      state = .standby(Standby(reason: reason, comparison: comparison, askedAt: now))
    case (.comparing(.due), .compared(let view, let comparison, let history)):
      guard comparison.hasNews else {
        state = .upToDate(view)
        return .wait
      }
      switch decide(comparison, history, now) {
      case .standby(let reason):
        state = .standby(Standby(reason: reason, comparison: comparison, askedAt: now))
      case .claim:
        state = .comparing(.mayClaim)
        return .claim
      }
    case (.comparing(.mayClaim), .raced): state = .comparing(.raced)
    case (.comparing(.mayClaim), .claimed(let claim)):
      state = .writing(claim)
      isWatched = false
      ownClaims[claim.timeline] = claim.nonce
      restart.began(now: now)
      return .ship
    case (_, .listed), (_, .compared), (_, .raced), (_, .claimed): return refuse(event)
    }
    return .wait
  }

  private mutating func compare() -> Effect {
    state = .comparing(.due)
    return .compare
  }

  private mutating func look(_ view: CaptureView, _ now: Int64) -> Effect {
    if case .upToDate(let last) = state, last.isSame(as: view) { return .wait }
    // There is nothing that a server would load, not even an empty file of Redis.
    if view.dump == nil, view.aof == .absent {
      state = .upToDate(view)
      return .wait
    }
    // A listing shows whether the owner still ships. As long as it does, the disk is not compared again, and
    // writes of Redis are no reason for a listing.
    if case .standby(let standby) = state, standby.comparison != nil {
      return now - standby.askedAt >= askInterval ? .list : .wait
    }
    if case .blocked = state, now - failedAt < Writer.endingInterval { return .wait }
    return compare()
  }

  private mutating func end(_ ending: Ending, isAsked: Bool) -> Effect {
    switch ending {
    case .superseded(let reason): state = .standby(Standby(reason: reason, comparison: nil))
    case .failed(let illegal as IllegalTransition): state = .blocked(illegal.error)
    case .diverged:
      isWatched = isAsked
      state = .comparing(.ended)
    case .stopped, .failed: state = .comparing(.ended)
    }
    return .wait
  }

  private mutating func refuse(_ event: Event) -> Effect {
    let illegal = IllegalTransition(
      "a writer that is \(state.name.rawValue) was told: \(event.name)")
    state = .blocked(illegal.error)
    return .wait
  }

  // MARK: Who may write

  /// The number of the next claim; nil if there is none left.
  package var nextNumber: TimelineNumber? {
    guard let highestNumber else { return .first }
    return highestNumber.next
  }

  /// Whether nothing was added to the newest timeline since it was compared.
  private func isStillOwned(_ history: History, _ comparison: Comparison) -> Bool {
    guard let newest = history.newestClaim else { return false }
    return newest.timeline == comparison.parent
      && history.contiguousEnd(of: newest.timeline, starts: [:]) == comparison.end
  }

  private mutating func decide(_ comparison: Comparison, _ history: History, _ now: Int64)
    -> Ownership.Decision
  {
    let unreadable = history.unreadableAbove
    let progress = Progress(
      timeline: history.newestClaim?.timeline, end: comparison.end, unreadable: unreadable)
    var still: Int64?
    if let seen, seen.progress == progress { still = now - seen.at } else { seen = (progress, now) }
    let isOwn =
      if let unreadable { ownClaims[unreadable.timeline] != nil } else {
        history.newestClaim.map { ownClaims[$0.timeline] == $0.nonce } ?? false
      }
    return ownership.decide(
      .init(
        newest: history.newestClaim, instances: Set(history.claims.values.map(\.instance)),
        isClean: comparison.isClean, isPointless: !comparison.hasPoint, still: still,
        isHeir: comparison.isHeir, isOwn: isOwn, isEnded: comparison.isEnded,
        unreadable: unreadable))
  }

  // MARK: Waiting

  private static let retryInterval: Int64 = 15_000
  /// The time between two attempts if a stop was requested, or if the directory changes while the shipper is
  /// blocked.
  private static let endingInterval: Int64 = 2000

  private var askInterval: Int64 {
    isEnding ? Writer.endingInterval : Writer.retryInterval
  }

  package func wait(at now: Int64) -> Wait {
    switch state {
    case .upToDate, .writing, .comparing(.due): .change
    case .comparing(.mayClaim), .comparing(.raced): .atMost(500)
    case .comparing(.ended): .pause(restart.milliseconds)
    case .standby(let standby):
      standby.comparison == nil
        ? .pause(restart.milliseconds) : .atMost(max(0, standby.askedAt + askInterval - now))
    case .blocked: .atMost(Writer.retryInterval)
    }
  }
}

// MARK: Names

extension Writer.State {
  package enum Name: String, Sendable, CaseIterable {
    case comparing
    case upToDate = "up to date"
    case standby
    case writing
    case blocked
  }

  package var name: Name {
    switch self {
    case .comparing: .comparing
    case .upToDate: .upToDate
    case .standby: .standby
    case .writing: .writing
    case .blocked: .blocked
    }
  }
}

extension Writer {
  /// Every change from one state to another that may happen.
  package static let changes: [State.Name: [State.Name]] = [
    .comparing: [.upToDate, .standby, .writing, .blocked],
    .upToDate: [.comparing, .blocked],
    .standby: [.comparing, .upToDate, .blocked],
    .writing: [.comparing, .standby, .blocked],
    .blocked: [.comparing, .upToDate],
  ]
}

extension Writer.Event {
  fileprivate var highestNumber: TimelineNumber? {
    switch self {
    case .listed(let history), .compared(_, _, let history): history.highestNumber
    case .claimed(let claim): claim.timeline
    default: nil
    }
  }

  var name: String {
    switch self {
    case .saw: "saw"
    case .lost: "lost"
    case .moved: "moved"
    case .listed: "listed"
    case .compared: "compared"
    case .claimed: "claimed"
    case .raced: "raced"
    case .ended: "ended"
    case .failed: "failed"
    }
  }
}
