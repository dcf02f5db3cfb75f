import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess

/// The objects of a plan, and what happens if one can't be used.
extension RestoreStaging {
  /// The object of a part; nil if it does not exist.
  func object(_ part: Part) async throws -> [UInt8]? {
    do {
      return try await repository.store.read(
        part.name.text, limit: part.kind.objectBytesMax)
    } catch let error as LifeboatError where error.isDamage {
      throw unusable(part, error)
    }
  }

  func content(_ object: [UInt8], _ part: Part) throws -> (bytes: [UInt8], marks: [Mark]) {
    do {
      return try checked(
        repository.frame.open(
          object, kind: part.kind, name: part.name, limit: part.kind.contentBytesMax), part)
    } catch let error as LifeboatError where error.isDamage {
      throw unusable(part, error)
    }
  }

  /// Decides what to do about a damaged object. If other objects have the same log, it is taken from those.
  private func unusable(_ part: Part, _ error: LifeboatError) -> any Error {
    part.span == nil ? error : RestoreStaging.unusableLog(part.name, error, plan, history)
  }

  static func unusableLog(
    _ name: ObjectPath, _ error: LifeboatError, _ plan: RestorePlan, _ history: History
  ) -> any Error {
    if history.catalogue.hasElsewhere(name) {
      return Replaceable(name: name, reason: error.reason)
    }
    guard let before = stateBefore(name, plan, history) else { return error }
    var error = error
    error.hint =
      "`restore --point \(before.id)` gives the state before it, of \(before.instant); `lifeboat verify` "
      + "lists all damage"
    return error
  }

  /// The newest state of the same snapshot that does not need a log object.
  private static func stateBefore(_ name: ObjectPath, _ plan: RestorePlan, _ history: History)
    -> RestorePoint?
  {
    guard let without = try? history.without([name]) else { return nil }
    return PointFinder(history: without, timeline: plan.point.timeline, snapshots: [:])
      .newest(of: plan.point.snapshot)
  }

  private func checked(_ opened: Frame.Opened, _ part: Part) throws
    -> (bytes: [UInt8], marks: [Mark])
  {
    guard let (span, timeline) = part.span else {
      let digest = opened.digest ?? repository.frame.digest(opened.content)
      guard digest == part.content else {
        throw LifeboatError(
          .corrupt, "the object \(part.name.text) does not match the digest in its index",
          hint:
            "`lifeboat verify` marks what is damaged, and `lifeboat list` then shows what can be restored"
        )
      }
      return (opened.content, [])
    }
    let payload = try LogPayload(decoding: opened.content, span: span)
    guard repository.frame.digest(payload.bytes).short == span.digest else {
      throw LifeboatError(
        .corrupt, "the object \(part.name.text) does not match the digest in its name")
    }
    guard payload.nonce == history.claims[timeline]?.nonce else {
      throw LifeboatError(
        .corrupt, "the object \(part.name.text) was not written by the shipper of its timeline",
        cause: "two shippers wrote to one timeline: the store allows overwriting objects",
        hint: "`lifeboat list` shows the restore points before it")
    }
    return (payload.bytes, payload.marks)
  }
}
