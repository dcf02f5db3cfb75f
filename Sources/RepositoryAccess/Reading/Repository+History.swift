package import BackupFormat
package import BackupTypes
package import HistoryLogic
import ObjectStorage

extension Repository {
  /// The history from a complete listing and every claim. If a claim can't be read, only its number counts.
  /// - Parameters:
  ///   - passesClaims: for a writer, which continues nothing of such a timeline. That a claim is gone has to
  ///     be proved by reading it.
  ///   - deletes: for retention, which has to know all forged objects.
  ///   - keepsLogTimes: for a page that shows when the log became durable.
  package func history(
    youngAfter: Instant? = nil, passesClaims: Bool = false, deletes: Bool = false,
    keepsLogTimes: Bool = false
  ) async throws -> History {
    func list() async throws -> Catalogue {
      try await self.catalogue(
        youngAfter: youngAfter, keepsLogTimes: keepsLogTimes, inOrder: passesClaims || deletes)
    }
    var catalogue = try await list()
    if catalogue.hasUnclaimedSnapshots { catalogue = try await list() }
    // The descriptor was read when the repository was opened. If a listing does not have it, the listing is
    // incomplete.
    guard catalogue.hasDescriptor else {
      throw LifeboatError(
        .storeUnavailable, "the listing of \(store.location) is not complete",
        cause: "it lacks lifeboat.json, which can be read",
        hint:
          "nothing is concluded from it: look for a gateway or a cache in front of the store, and"
          + " for a policy that hides objects from listings", isRetryable: true)
    }
    catalogue = try await withoutUnusable(catalogue).withoutFarAhead()
    let listed = catalogue.timelines
    var claims: [TimelineNumber: Claim] = [:]
    var unreadable: [UnreadableClaim] = []
    func pass(_ number: TimelineNumber, _ reason: String) {
      let objects = listed[number]?.snapshots.count ?? 0
      let log = listed[number]?.log.values.reduce(0) { $0 + $1.count } ?? 0
      unreadable.append(
        UnreadableClaim(timeline: number, reason: reason, objects: objects + log))
    }
    for (number, result) in try await readings(listed.filter { $0.value.hasClaim }.map(\.key)) {
      switch result {
      case .success(let claim): claims[number] = claim
      case .failure(let error): pass(number, error.inOneLine)
      }
    }
    for number in catalogue.unclaimed {
      // A writer needs proof, since a listing could lack it.
      if passesClaims, !History.isPassed(number, claims.values), try await hasClaim(number) {
        throw LifeboatError(
          .storeUnavailable, "the listing of \(store.location) is not complete",
          cause: "it lacks \(ObjectPath.claim(number).text), which can be read",
          hint: "nothing is concluded from it; it is listed again", isRetryable: true)
      }
      pass(number, "an object of the repository is missing: \(ObjectPath.claim(number).text)")
    }
    catalogue = try await withoutForgedLog(
      catalogue, claims,
      readsMax: deletes ? Repository.overlapReadsInPruneMax : Repository.overlapReadsMax,
      isComplete: deletes)
    return try History(
      catalogue: catalogue, claims: claims, unreadable: unreadable,
      cutOff: try await cutOff(catalogue, claims))
  }

  /// Where timelines end although a claim leaves out some of their objects. Usually there is nothing after an
  /// end except objects that were written late. So the times of objects are listed only if there are any.
  package func cutOff(_ catalogue: Catalogue, _ claims: [TimelineNumber: Claim]) async throws
    -> [TimelineNumber: Claim.End]
  {
    let rule = CutOff(catalogue, claims)
    var ends: [TimelineNumber: Claim.End] = [:]
    for (number, successor) in rule.doubtful {
      guard let claimed = try await times(ObjectPath.claim(successor).text)[.claim(successor)]
      else { continue }
      let before = claimed.advanced(byMilliseconds: -CutOff.slack)
      let old = try await times(ObjectPath.timeline(number)).filter { $0.value < before }
      ends[number] = try rule.end(of: number, old: Set(old.keys))
    }
    return ends
  }

  /// When the store got the objects below a prefix, by its clock.
  private func times(_ prefix: String) async throws -> [ObjectPath: Instant] {
    var times: [ObjectPath: Instant] = [:]
    try await store.eachPage(prefix: prefix) { page in
      for entry in page.entries {
        if let path = ObjectPath(entry.name) { times[path] = entry.modified }
      }
      return true
    }
    return times
  }

  private func hasClaim(_ number: TimelineNumber) async throws -> Bool {
    do {
      return try await content(
        .claim(number), kind: .claim, limit: RecordCoding.claimSizeMax) != nil
    } catch let error as LifeboatError where error.isDamage { return true }
  }

  private typealias ClaimReading = (number: TimelineNumber, result: Result<Claim, LifeboatError>)

  private func readings(_ numbers: [TimelineNumber]) async throws -> [ClaimReading] {
    try await withThrowingTaskGroup(of: ClaimReading.self) { group in
      var readings: [ClaimReading] = []
      for (count, number) in numbers.enumerated() {
        if count >= Repository.readWidth, let reading = try await group.next() {
          readings.append(reading)
        }
        group.addTask { (number, try await self.readClaim(number)) }
      }
      for try await reading in group { readings.append(reading) }
      return readings
    }
  }

  /// A listed claim, or why it can't be used: it does not parse, fails authentication, or does not match its
  /// name. A claim of a newer format is not passed, since its writer knows more than this release.
  private func readClaim(_ number: TimelineNumber) async throws -> Result<Claim, LifeboatError> {
    do {
      let claim = try await self.claim(number)
      guard claim.timeline == number, (claim.parent?.value ?? 0) < number.value,
        claim.parent == nil || claim.end != nil
      else {
        return .failure(
          LifeboatError(.corrupt, "the claim of timeline \(number) is inconsistent"))
      }
      return .success(claim)
    } catch let error as LifeboatError where error.isDamage || error.code == .wrongKey {
      return .failure(error)
    }
  }

  /// How often the repository is listed at most, if listed objects are deleted in between.
  private static let listingsMax = 3

  /// How many log objects an answer disregards because they can't be used.
  private static let unusableMax = 64

  /// Answers a question about the history. Retention and folds delete while others read. If a listed object
  /// was deleted, the repository is listed again and the question repeated. If a log object can't be used and
  /// others have its bytes, the question is repeated without it.
  package func withHistory<Answer>(
    youngAfter: Instant? = nil, passesClaims: Bool = false, deletes: Bool = false,
    keepsLogTimes: Bool = false, _ question: (History) async throws -> Answer
  ) async throws -> Answer {
    var listings = 1
    var listed: History?
    var unusable: [ObjectPath: String] = [:]
    while true {
      do {
        let history: History
        if let listed {
          history = listed
        } else {
          history = try await self.history(
            youngAfter: youngAfter, passesClaims: passesClaims, deletes: deletes,
            keepsLogTimes: keepsLogTimes)
        }
        listed = history
        return try await question(try history.disregarding(unusable))
      } catch let found as UnusableLog {
        guard unusable.count < Repository.unusableMax else {
          throw LifeboatError(
            .corrupt, "more than \(Repository.unusableMax) log objects can't be used",
            cause: "the last is \(found.name.text): \(found.reason)",
            hint: "`lifeboat verify` names them: find out who wrote them, and delete them")
        }
        unusable[found.name] = found.reason
      } catch let error as LifeboatError
        where error.missingObject != nil && listings < Repository.listingsMax
      {
        listed = nil
        listings += 1
      }
    }
  }
}
