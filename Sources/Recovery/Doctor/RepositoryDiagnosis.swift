import BackupFormat
package import BackupTypes
import HistoryLogic
package import ObjectStorage
package import RepositoryAccess

/// The findings of `doctor` about a repository: whether there is one, what can be restored, and which
/// questions are open.
package struct RepositoryDiagnosis: Sendable {
  private let store: any ObjectStore
  private let keys: KeySource
  private let now: Instant

  package init(_ store: any ObjectStore, keys: KeySource = .none, now: Instant) {
    self.store = store
    self.keys = keys
    self.now = now
  }

  package func findings() async throws -> [Finding] {
    do {
      guard try await Repository.open(store, keys: keys) != nil else {
        return [
          Finding(
            .repository, "content", .note,
            "there is no repository here yet: `lifeboat ship` creates one, "
              + (keys.isGiven ? "encrypted" : "not encrypted: no key was given"))
        ]
      }
      return findings(try await RepositoryListing.make(store, keys: keys, now: now))
    } catch let error as CancellationError {
      throw error
    } catch {
      return [
        Finding(
          .repository, "content", failed: error,
          consequence: "a restore would fail with the same error")
      ]
    }
  }

  /// `list` leaves out what can't be read. For `doctor` it is a failure.
  private func damaged(_ listing: RepositoryListing) -> [Finding] {
    var findings: [Finding] = []
    if let first = listing.unreadable.first {
      findings.append(
        Finding(
          .repository, "content", .failed,
          "\(counted(listing.unreadable.count, "record")) can't be read; the first is \(first)",
          consequence:
            "restore points are lost; a restore that needs one of them fails with exit 5",
          remedy: "`lifeboat verify` lists the damage and what to do", code: .corrupt))
    }
    if let loss = listing.notices.first(where: { $0.kind == .loss }) {
      findings.append(
        Finding(
          .repository, "loss", .failed, loss.text,
          consequence: "a restore gives the state before it, with a warning",
          remedy:
            "`lifeboat verify` lists the damage and what to do; while the volume exists, `lifeboat ship` "
            + "uploads a new full copy", code: .corrupt))
    }
    if let first = listing.unusable.first {
      findings.append(
        Finding(
          .repository, "operations", .warning,
          "\(counted(listing.unusable.count, "object")) can't be used; the first is \(first)",
          consequence:
            "they are ignored: a release, a quarantine or a record of a deletion among them has no "
            + "effect, and log that one of them overlaps is read from the other objects",
          remedy:
            "`lifeboat verify` says what is wrong with them; if Lifeboat did not write them, find "
            + "out who may write to the bucket"))
    }
    if let first = listing.contradicting.first {
      findings.append(
        Finding(
          .repository, "forged-log", .warning,
          "\(counted(listing.contradicting.count, "object")) of the log contradict others; the first is "
            + first,
          consequence: "a restore that needs their bytes may fail, and nothing is deleted",
          remedy:
            "`lifeboat verify` names both; find out who wrote the forged one, and delete it"))
    }
    if let cut = listing.timelines.first(where: \.isCutOff) {
      findings.append(
        Finding(
          .repository, "cut-off", .warning,
          "a claim leaves out the end of timeline \(cut.number), which was there long before it",
          consequence:
            "without --point, --at or --timeline, a restore gives the state after that claim",
          remedy:
            "`lifeboat restore --timeline \(cut.number)` gives its end; `lifeboat verify` names the "
            + "claim: find out who wrote it"))
    }
    if let first = listing.unreadablePins.first {
      findings.append(
        Finding(
          .repository, "pins", .warning, "the pin \(first) can't be read",
          consequence: "it is not known what the pin keeps, so nothing is deleted",
          remedy: "`lifeboat unpin \(first)` removes the pin"))
    }
    return findings
  }

  private func findings(_ listing: RepositoryListing) -> [Finding] {
    var findings = [
      listing.cipher == Descriptor.Cipher.none.rawValue
        ? Finding(.repository, "encryption", .note, "none")
        : Finding(.repository, "encryption", .ok, "\(listing.cipher), and the key opens it")
    ]
    if let newest = listing.newest {
      findings.append(
        Finding(
          .repository, "restore-point", .ok,
          "the newest is \(newest)" + (listing.newestInstant.map { ", of \($0)" } ?? "")))
    } else if listing.unreadable.isEmpty {
      findings.append(
        Finding(
          .repository, "restore-point", .warning, "there is none yet",
          consequence: "nothing can be restored",
          remedy: "run `lifeboat ship` on the data directory of a Redis that holds data"))
    }
    findings += damaged(listing)
    if listing.notices.contains(where: { $0.kind == .suspect }) {
      findings.append(
        Finding(
          .repository, "suspect", .warning, "the newest state may be the result of an accident",
          consequence: "a restore stops and asks which state to use (exit 9)",
          remedy: "`lifeboat list` shows both; `lifeboat unpin` accepts the newest state"))
    }
    if listing.foreignObjects > 0 {
      findings.append(
        Finding(
          .repository, "foreign-objects", .warning,
          "\(counted(listing.foreignObjects, "foreign object"))",
          consequence: "they are ignored, but every listing includes them",
          remedy: "use a separate prefix for each repository"))
    }
    return findings
  }
}
