import WriterLogic

/// What is counted besides the acts. A run of 2,000 seeds fails if one of these, an act, or a change of a
/// writer's state occurs too rarely to count as tested.
enum Happening: String, CaseIterable {
  // Faults.
  case callFails = "a call fails"
  case replyIsLost = "a reply is lost"
  case callIsSlow = "a call is slow"
  case storeIsAway = "the store is unavailable"
  case storeDenies = "the store denies"
  case diesBefore = "a process dies before an effect"
  case diesAfter = "a process dies after an effect"
  case diesWithoutReply = "a process dies before the reply"
  case logIsLost = "log is lost with the power"
  case dumpIsCopied = "an old dump is copied over the dump"
  case storeForgets = "the store forgets its tail"
  case storeIsWiped = "the store is wiped"
  case firstUploadIsCutOff = "a first upload is cut off"
  // Their consequences.
  case startIsRefused = "a start without a directory is refused"
  case personTakesOver = "a person takes over"
  case wipedStoreIsLeftAlone = "a wiped store is left alone"
  case restoreAsks = "a restore asks"
  case restoreDies = "a restore dies"
  case restoreIsDone = "a restore is done"
  case restoreIsNotDone = "a restore is not done"
  case restoreIsRefused = "a restore is refused"
  case pruneDeletes = "prune deletes"
  case pruneIsRefused = "prune is refused"
  // What was checked.
  case coveredIsTrue = "covered is true"
  case onceIsComplete = "--once is complete"
  case syncIsDone = "a sync is done"
  case sound = "the repository is sound"
  case promise = "a promised time is restored"
  case promiseAfterPruning = "a promised time is restored after pruning"
  case settled = "everything is covered after the last fault"
  // Rules that were not enforced; the place that counts one gives the reason.
  case idleLogIsReplaced = "excused: an idle log is replaced between two looks"
  case hasFallenBack = "excused: the power was lost, and with it log that had been shipped"
  case timesLie = "excused: a clock that was set back makes the older file the newest"
  case isOvertaken = "excused: a writer is overtaken by another"

  /// Only an event that no state expects causes this change: a bug.
  static let mustNotHappen = Transitions.text(
    "writer", Writer.State.Name.writing.rawValue, Writer.State.Name.blocked.rawValue)

  /// Rules that were not enforced. These should be rare.
  static let excuses: Set<Happening> = [
    .idleLogIsReplaced, .isOvertaken, .timesLie, .hasFallenBack,
  ]

  /// Zero for everything that has to occur often enough, so that what never occurs is listed, too.
  static var zeros: [String: Int] {
    var names = allCases.filter { !excuses.contains($0) }.map(\.rawValue)
    names += Act.Kind.allCases.map(\.rawValue)
    for (from, changes) in Writer.changes {
      names += changes.map { Transitions.text("writer", from.rawValue, $0.rawValue) }
    }
    names.removeAll { $0 == mustNotHappen }
    return Dictionary(uniqueKeysWithValues: names.map { ($0, 0) })
  }
}
