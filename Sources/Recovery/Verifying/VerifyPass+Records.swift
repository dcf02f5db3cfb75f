import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess

/// The records: claims, snapshots, operations, key slots, and what they refer to.
extension VerifyPass {
  // MARK: Claims

  func readClaims() async throws {
    let listed = catalogue.timelines.filter { $0.value.hasClaim }.map(\.key).sorted()
    try await readRecords(
      Claim.self, listed, .claim,
      consequence:
        "no restore point of this timeline, or of a timeline that continues it, can be found",
      remedy: VerifyFinding.claimRemedy,
      group: { .timeline($0) }, name: { .claim($0) }
    ) { number, claim in claims[number] = claim }
    checkDescriptor()
    for number in catalogue.farAhead {
      claims[number] = nil
      add(
        .damaged(
          ObjectPath.claim(number).text, "its number is far above those of all other timelines", [],
          "it is ignored, with everything in its timeline",
          remedy: "Lifeboat never writes this: find out who did, then delete it"),
        to: .timeline(number))
    }
    for (number, claim) in claims.sorted(by: { $0.key < $1.key }) {
      if let problem = claimProblem(claim, number: number, repository: expectedRepository) {
        claims[number] = nil
        add(
          .damaged(
            ObjectPath.claim(number).text, problem, [], "the timeline is inconsistent"),
          to: .timeline(number))
      }
    }
    noteUnclaimed()
  }

  /// The descriptor has no checksum. If every claim agrees on another id, the descriptor is wrong.
  private func checkDescriptor() {
    let ids = Set(claims.values.map(\.repository))
    guard ids.count == 1, let id = ids.first, id != repository.id else { return }
    expectedRepository = id
    add(
      .damaged(
        ObjectPath.descriptor.text,
        "it has the repository id \(repository.id), but the claims have \(id)",
        [],
        "nothing in the repository can be restored until it is repaired"), to: .repository)
  }

  func noteCutOff(_ history: History) {
    for (number, end) in history.cutOff {
      guard let claim = history.successor(of: number), let said = claim.end else { continue }
      add(
        VerifyFinding(
          .damaged, ObjectPath.claim(claim.timeline).text,
          "it says that timeline \(number) ends with snapshot \(said.snapshots), and leaves out what the "
            + "store has had for much longer than this claim: timeline \(number) has \(end.snapshots)",
          consequence:
            "without --point, --at or --timeline, a restore gives the state after this claim; "
            + "`restore --timeline \(number)` gives the state before it",
          remedy:
            "Lifeboat never writes such a claim: find out who did, and delete nothing "
            + "before that. What it leaves out is kept as long as the policy says"),
        to: .timeline(number))
    }
  }

  private func noteUnclaimed() {
    let highest = catalogue.highestClaim
    for (number, timeline) in catalogue.timelines where !timeline.hasClaim {
      let name = ObjectPath.claim(number).text
      if timeline.snapshots.isEmpty, highest.map({ number > $0 }) ?? true {
        add(
          VerifyFinding(.remark, name, "objects of a timeline after the last claim: left over"),
          to: .timeline(number))
      } else if History.isPassed(number, claims.values) {
        add(
          VerifyFinding(
            .remark, name,
            "its timeline has objects; a later writer could not read it, and skipped it",
            remedy:
              "nothing is deleted as long as they are there: if Lifeboat never wrote them, delete "
              + "them by hand"), to: .timeline(number))
      } else {
        add(
          .missing(
            name, "the timeline has objects but no claim", [],
            "what needs it can't be restored until it is recovered"),
          to: .timeline(number))
      }
    }
    let lowest = catalogue.timelines.keys.min()
    for claim in claims.values {
      guard let parent = claim.parent, catalogue.timelines[parent] == nil,
        lowest.map({ parent > $0 }) ?? false
      else { continue }
      add(
        .missing(
          ObjectPath.claim(parent).text, "timeline \(claim.timeline) names it as its parent", [],
          "times within that timeline can't be restored"), to: .timeline(parent))
    }
  }

  // MARK: Snapshots

  func readSnapshots(_ history: History) async throws {
    for (number, timeline) in catalogue.timelines.sorted(by: { $0.key < $1.key }) {
      noteMissingSnapshots(number, history)
      let visible = Set(history.claims[number] == nil ? [] : history.snapshots(of: number))
      try await readRecords(
        Snapshot.self, timeline.snapshots.sorted(), .snapshot,
        consequence: "its restore point is lost, and so is log that only this snapshot names",
        group: { _ in .timeline(number) }, points: { ["\(number).\($0)"] },
        name: { .snapshot(number, sequence: $0) }
      ) { sequence, snapshot in
        take(snapshot, number, sequence, history, isVisible: visible.contains(sequence))
      }
    }
  }

  private func take(
    _ snapshot: Snapshot, _ number: TimelineNumber, _ sequence: Int, _ history: History,
    isVisible: Bool
  ) {
    let name = ObjectPath.snapshot(number, sequence: sequence).text
    guard let claim = history.claims[number] else { return }  // its claim is a finding
    if snapshot.nonce != claim.nonce {
      add(
        VerifyFinding(
          .remark, name, "another process wrote it: it is ignored",
          remedy: "two shippers wrote to one timeline: test the store with `lifeboat doctor`"),
        to: .timeline(number))
    } else if snapshot.timeline != number || snapshot.sequence != sequence {
      add(
        .damaged(
          name, "its content is snapshot \(snapshot.sequence) of timeline \(snapshot.timeline)",
          ["\(number).\(sequence)"], "its restore point is lost"), to: .timeline(number))
    } else if !isVisible {
      add(
        VerifyFinding(.remark, name, "written after the end of its timeline: it is ignored"),
        to: .timeline(number))
    } else {
      for problem in references.add(snapshot) {
        add(
          .damaged(
            name, problem, ["\(number).\(sequence)"], "its restore point is lost", remedy: nil),
          to: .timeline(number))
      }
    }
  }

  /// The numbers of a timeline's snapshots have no gap.
  private func noteMissingSnapshots(_ number: TimelineNumber, _ history: History) {
    guard history.claims[number] != nil else { return }
    var present = history.snapshots(of: number)
    let last = max(present.last ?? 0, history.end(of: number)?.snapshots ?? 0)
    // At most 100, since a hostile record may claim any number of them.
    for _ in 0..<100 {
      guard let sequence = letGo.gap(in: present, upTo: last, of: number) else { return }
      present = (present + [sequence]).sorted()
      add(
        .missing(
          ObjectPath.snapshot(number, sequence: sequence).text,
          "this snapshot is missing; there are snapshots up to \(last)", ["\(number).\(sequence)"],
          "its restore point is lost, and so is log that only this snapshot names"),
        to: .timeline(number))
    }
  }

  // MARK: References

  /// Checks that everything that a snapshot or a claim names exists, and extends as far as they say.
  func checkReferences(_ history: History) {
    for (id, uses) in references.generations where catalogue.generations[id]?.hasIndex != true {
      // A dump next to a chain may be deleted: a restore does not need it.
      if letGo.dumps.contains(id), !references.isNeeded(id) { continue }
      add(
        .missing(
          ObjectPath.index(id).text, "snapshots refer to this full copy", uses.points,
          "nothing that needs it can be restored"), to: .generation(id))
    }
    for (span, uses) in references.spans {
      guard history.claims[span.timeline] != nil else {
        if catalogue.timelines[span.timeline] == nil {
          add(
            .missing(
              ObjectPath.log(span.timeline, ordinal: span.ordinal), "snapshots refer to this log",
              uses.points, "what needs it can't be restored"),
            to: .log(span.timeline, ordinal: span.ordinal))
        }
        continue
      }
      // For an open log: checks that it has no hole, and that everything exists that was durable when a
      // snapshot was written.
      if checkReach(history, span.timeline, span.ordinal, from: span.from, to: span.to),
        let reached = references.reached[span]
      {
        checkReach(history, span.timeline, span.ordinal, from: span.from, to: reached)
      }
    }
    for number in history.claims.keys {
      for end in history.end(of: number)?.ordinals ?? [] {
        guard let start = references.start(of: number, ordinal: end.ordinal), start <= end.offset
        else { continue }
        checkReach(history, number, end.ordinal, from: start, to: end.offset)
      }
    }
  }

  /// Reports log that should exist and is missing. Returns whether all of it exists.
  @discardableResult
  private func checkReach(
    _ history: History, _ number: TimelineNumber, _ ordinal: Int, from: UInt64, to: UInt64?
  ) -> Bool {
    let log = history.log(of: number, ordinal: ordinal, from: from, limit: to)
    guard to.map({ log.reached < $0 }) ?? (log.objectsBehindHole > 0) else { return true }
    let spans = catalogue.timelines[number]?.log[ordinal] ?? []
    let next = spans.map(\.from).filter { $0 > log.reached }.min()
    let uses = references.uses(of: number, ordinal: ordinal, behind: log.reached)
    add(
      .missing(
        ObjectPath.log(number, ordinal: ordinal)
          + decimal(log.reached, width: LogSpan.offsetDigits) + "-",
        "the log has a hole at offset \(log.reached)"
          + (next ?? to).map { " up to \($0)" }.orEmpty, uses.points,
        "for these snapshots, only the data before the hole can be restored"),
      to: .log(number, ordinal: ordinal))
    return false
  }

  // MARK: Operations and keys

  /// If a record can't be read, its deletions look like losses.
  func readPrunes() async throws {
    var records: [Prune] = []
    try await readRecords(
      Prune.self, (catalogue.operations[.prunes] ?? []).sorted(), .operation,
      consequence: "it is ignored: what retention deleted according to it is reported as lost",
      group: { _ in .operations }, name: { .operation(.prunes, id: $0) }
    ) { id, record in
      if isOwn(record.id == id, record.repository, .prunes, id, "nothing to do: it is ignored") {
        records.append(record)
      }
    }
    letGo = LetGo(records)
  }

  func readOperations() async throws {
    func ids(_ kind: OperationKind) -> [String] {
      isWanted(.operations) ? (catalogue.operations[kind] ?? []).sorted() : []
    }
    func read<Record: Decodable>(
      _ type: Record.Type, _ kind: OperationKind, _ consequence: String,
      _ says: (Record) -> (id: String, repository: Nonce)
    ) async throws {
      try await readRecords(
        type, ids(kind), .operation, consequence: consequence, group: { _ in .operations },
        name: { .operation(kind, id: $0) }
      ) { id, record in
        _ = isOwn(says(record).id == id, says(record).repository, kind, id, consequence)
      }
    }
    try await read(Pin.self, .pins, "nothing is deleted until it is released with `lifeboat unpin`")
    {
      ($0.id, $0.repository)
    }
    try await read(
      Release.self, .releases, "it is ignored: the pin that it releases stays in force"
    ) {
      ($0.pin, $0.repository)
    }
    try await read(Drill.self, .drills, "the result of a drill is lost") { ($0.id, $0.repository) }
    try await read(
      Quarantine.self, .quarantines, "it is ignored: the full copy that it marks is still used"
    ) {
      ($0.generation.description, $0.repository)
    }
    try await readRecords(
      PerformedRequest.self, ids(.requests), .operation, consequence: "it is ignored",
      group: { _ in .operations }, name: { .operation(.requests, id: $0) }
    ) { id, record in
      let first = repository.requestID(record.id)
      _ = isOwn(
        id == first || id.hasPrefix(first + "-"), record.repository, .requests, id,
        "it is ignored")
    }
  }

  private func isOwn(
    _ namesItself: Bool, _ record: Nonce, _ kind: OperationKind, _ id: String,
    _ consequence: String
  ) -> Bool {
    if namesItself, record == expectedRepository { return true }
    let problem =
      namesItself ? "it belongs to another repository" : "it contains another record"
    add(
      .damaged(ObjectPath.operation(kind, id: id).text, problem, [], consequence), to: .operations)
    return false
  }

  /// Key slots have no cipher, because they contain the key for it.
  func readKeySlots() async throws {
    var clear = repository.frame
    clear.secrets = nil
    try await readRecords(
      KeySlot.self, isWanted(.repository) ? catalogue.keySlots.sorted() : [], .keySlot,
      frame: clear,
      consequence: "if it was the slot of a key, that key no longer opens the repository",
      group: { _ in .repository }, name: { .key($0) }
    ) { _, _ in }
  }
}

extension String? {
  fileprivate var orEmpty: String { self ?? "" }
}
