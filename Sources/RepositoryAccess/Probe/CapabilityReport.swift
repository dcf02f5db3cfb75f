package import BackupTypes
import ObjectStorage

/// What a store can do for backups, one line for each test. Pure.
package struct CapabilityReport: Sendable, Hashable, Encodable {
  package enum Check: String, Sendable, Hashable, CaseIterable, Encodable {
    case write
    case createIfAbsent = "create-if-absent"
    case read, list, delete, clock
  }

  package typealias Verdict = BackupTypes.Finding.Verdict

  package struct Finding: Sendable, Hashable, Encodable {
    package var check: Check
    package var verdict: Verdict
    /// What was found.
    package var detail: String
    /// What that means for backups; nil if nothing is wrong.
    package var consequence: String?
    package var remedy: String?
  }

  /// In the order of `Check`.
  package var findings: [Finding]

  /// The worst verdict.
  package var verdict: Verdict { max(findings.map(\.verdict).max() ?? .ok, .ok) }

  package subscript(_ check: Check) -> Finding? { findings.first { $0.check == check } }

  package init(_ seen: ProbeObservations) {
    findings = [
      CapabilityReport.write(seen), CapabilityReport.createIfAbsent(seen),
      CapabilityReport.read(seen), CapabilityReport.list(seen), CapabilityReport.delete(seen),
      CapabilityReport.clock(seen),
    ]
  }
}

// MARK: Judging

extension CapabilityReport {
  private static func write(_ seen: ProbeObservations) -> Finding {
    switch seen.created {
    case .success: ok(.write, "objects can be written")
    case .failure(let error):
      failed(.write, error, "nothing can be backed up; existing backups can still be restored")
    }
  }

  private static func createIfAbsent(_ seen: ProbeObservations) -> Finding {
    let races =
      "two shippers on one repository could overwrite each other's objects; Lifeboat reads its claim"
      + " back, so that one of them stops"
    let apart = "never run two shippers on one repository, or use a store with conditional writes"
    func warning(_ detail: String) -> Finding {
      Finding(
        check: .createIfAbsent, verdict: .warning, detail: detail, consequence: races, remedy: apart
      )
    }
    guard case .success = seen.created else {
      return Finding(
        check: .createIfAbsent, verdict: .failed, detail: "not tested: nothing could be written",
        consequence: "it is not known whether two shippers on one repository are kept apart",
        remedy: "make sure that objects can be written, then run this again")
    }
    switch seen.createdAgain {
    case .failure(let error):
      return failed(
        .createIfAbsent, error, "a timeline can't be claimed safely: nothing is backed up")
    case .success(.created):
      return warning("the store ignores create-if-absent and overwrites the object")
    case .success(.exists) where seen.content.isReplaced:
      return warning("the store reports that the object exists, but overwrites it")
    case .success(.exists) where !seen.createsConditionally:
      return warning(
        "the store does not support create-if-absent; Lifeboat checks before it writes instead")
    case .success(.exists): break
    }
    switch seen.winners {
    case .failure(let error):
      return failed(
        .createIfAbsent, error, "it is not known whether only one of several writers wins")
    case .success(let count) where count > 1:
      return warning(
        "of several simultaneous creations of one name, \(count) succeeded")
    case .success: return ok(.createIfAbsent, "a second creation of the same name is refused")
    }
  }

  private static func read(_ seen: ProbeObservations) -> Finding {
    let consequence = "nothing can be restored or backed up"
    switch seen.content {
    case .failure(let error): return failed(.read, error, consequence)
    case .success(.absent) where seen.created.isSuccess:
      return failed(
        .read, "an object that was just written can't be read", consequence,
        remedy: "use a store whose objects can be read as soon as they are written")
    case .success(.foreign):
      return failed(
        .read, "an object that was just written reads back with different content", consequence,
        remedy: "check proxies and caches in between, and the store itself")
    case .success(.absent): return note(.read, "not tested: nothing could be written")
    case .success: return ok(.read, "objects can be read")
    }
  }

  private static func list(_ seen: ProbeObservations) -> Finding {
    let consequence = "restore points could be missed, and \"no backup\" can't be proved"
    switch seen.listed {
    case .failure(let error): return failed(.list, error, consequence)
    case .success(let count) where seen.created.isSuccess && count < ProbeObservations.objects:
      return failed(
        .list,
        "of \(ProbeObservations.objects) objects that were just written, only \(count) are listed",
        consequence, remedy: "use a store whose listings are complete after a write")
    case .success where !seen.created.isSuccess:
      return note(
        .list, "objects can be listed; not tested with new ones, because nothing could be written")
    case .success: return ok(.list, "new objects are listed at once")
    }
  }

  private static func delete(_ seen: ProbeObservations) -> Finding {
    let consequence = "objects that retention no longer needs stay, and cost money"
    switch seen.deleted {
    case .failure(let error) where error.isDenied:
      let allow = error.hint.map { "; if not, \($0)" } ?? ""
      return Finding(
        check: .delete, verdict: .warning,
        detail: "these credentials may not delete: they are append-only",
        consequence:
          "enough to back up and restore, but not for retention: old restore points stay",
        remedy:
          "if that is intended, run ship with --no-prune, and `lifeboat prune` with "
          + "credentials that may delete" + allow)
    case .failure(let error):
      var finding = failed(.delete, error, consequence)
      finding.verdict = .warning
      // Append-only credentials are safer, so they must not be reported as a fault.
      if !error.isRetryable {
        finding.remedy =
          "none, if these credentials are append-only on purpose and `lifeboat prune` runs with others"
          + (error.hint.map { "; else " + $0 } ?? "")
      }
      return finding
    case .success where !seen.created.isSuccess:
      return note(.delete, "not tested: nothing could be written")
    case .success:
      guard case .success(let left) = seen.listedAfterwards, left > 0 else {
        return ok(.delete, "objects can be deleted")
      }
      return Finding(
        check: .delete, verdict: .warning,
        detail: counted(left, "deleted object is", "deleted objects are") + " still listed",
        consequence: consequence,
        remedy: "look for a retention policy, object lock or legal hold on the bucket")
    }
  }

  private static func clock(_ seen: ProbeObservations) -> Finding {
    switch seen.clockOffset {
    case .failure(let error):
      var finding = failed(.clock, error, "it is not known whether the clocks agree")
      finding.verdict = .warning
      return finding
    case .success(nil): return note(.clock, "the store uses this machine's clock")
    case .success(let offset?):
      let size = humanDuration(milliseconds: abs(offset))
      guard abs(offset) > StoreOutage.clockOffsetMax else {
        return ok(.clock, "the store's clock and this machine's agree")
      }
      return Finding(
        check: .clock, verdict: .warning,
        detail: "this machine's clock is \(size) \(offset > 0 ? "behind" : "ahead of") the store's",
        consequence: "the times of restore points, and --at, are off by as much",
        remedy: "set this machine's clock (NTP)")
    }
  }

  // MARK: Words

  private static func note(_ check: Check, _ detail: String) -> Finding {
    Finding(check: check, verdict: .note, detail: detail, consequence: nil, remedy: nil)
  }

  private static func ok(_ check: Check, _ detail: String) -> Finding {
    Finding(check: check, verdict: .ok, detail: detail, consequence: nil, remedy: nil)
  }

  private static func failed(
    _ check: Check, _ detail: String, _ consequence: String, remedy: String?
  ) -> Finding {
    Finding(
      check: check, verdict: .failed, detail: detail, consequence: consequence, remedy: remedy)
  }

  private static func failed(
    _ check: Check, _ error: LifeboatError, _ consequence: String
  ) -> Finding {
    failed(check, error.inOneLine, consequence, remedy: error.hint)
  }
}

extension Result {
  fileprivate var isSuccess: Bool {
    if case .success = self { true } else { false }
  }
}

extension Result<ProbeObservations.Content, LifeboatError> {
  fileprivate var isReplaced: Bool {
    if case .success(.replaced) = self { true } else { false }
  }
}
