package import BackupFormat
package import BackupTypes

/// The answer to a question about a restore point.
package enum Answer: Sendable {
  case point(RestorePoint, CutSurroundings.Precision)
  /// The repository has no log of that time: none was shipped, or none is kept. `before` is the last state
  /// before it, and has the gap.
  case gap(at: Instant, before: RestorePoint)
  /// The newest state may be the result of an accident, and nobody has chosen yet.
  case suspect(newest: RestorePoint, before: RestorePoint, Claim.Suspicion)
  /// It needs log that was durable and has disappeared, or a full copy that is damaged.
  case lost(LostState)
  /// There is no such restore point. The error says why, and which restore points exist.
  case nothing(LifeboatError)
  /// The repository has no restore point at all.
  case empty
}

/// Why a state can't be restored, and the complete states on both sides of the loss.
package struct LostState: Sendable {
  package var message: String
  package var cause: String
  /// The prefix of the names of the missing objects; nil for a damaged full copy.
  package var object: String?
  package var before: RestorePoint?
  package var behind: RestorePoint?

  package var error: LifeboatError {
    var ways: [String] = []
    if let before {
      ways.append(
        "the last complete state before the loss is --point \(before.id) of \(before.instant)")
    }
    if let behind {
      ways.append("the first complete state after it is --point \(behind.id) of \(behind.instant)")
    }
    ways.append(
      object == nil
        ? "`lifeboat verify` says what is damaged" : "`lifeboat verify` lists the missing objects")
    var error = LifeboatError(
      .corrupt, message, cause: cause, hint: ways.joined(separator: "; "))
    error.missingObject = object
    return error
  }
}

extension Answer {
  /// The restore point; nil if the repository has none.
  /// - Parameter unpin: the command that accepts the newest state, for the id of its pin.
  /// - Throws: why there is no point, or which choice a person has to make, with the existing restore points.
  package func point(unpin: (String) -> String) throws(LifeboatError) -> RestorePoint? {
    switch self {
    case .point(let point, _): return point
    case .empty: return nil
    case .nothing(let error): throw error
    case .lost(let lost): throw lost.error
    case .gap(let at, let before):
      let next =
        before.gap.map { "or the one after it with --point \($0.next) (of \($0.until))" } ?? ""
      throw LifeboatError(
        .noBackup, "\(at) lies between two recovery windows",
        cause: "from \(before.instant) to \(before.gap?.until ?? at), no log was uploaded, or "
          + "it is no longer kept",
        hint: "restore the state before it with --point \(before.id) (of \(before.instant)), "
          + next)
    case .suspect(let newest, let before, let suspicion):
      throw LifeboatError(
        .suspect, "the newest state may be the result of an accident (\(suspicion.detail))",
        cause:
          "newest: \(newest.id) of \(newest.instant); before it: \(before.id) of \(before.instant)",
        hint: "choose with --suspect newest or --suspect before; "
          + "`\(unpin(suspicion.pin))` accepts the newest state permanently")
    }
  }
}
