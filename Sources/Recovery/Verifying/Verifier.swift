import BackupFormat
package import BackupTypes
import HistoryLogic
package import ObjectStorage
package import RepositoryAccess

/// Reads a whole repository and reports what is wrong with it. It writes only one kind of object: quarantines
/// of damaged generations, if it may write.
package struct Verifier: Sendable {
  package struct Options: Sendable {
    /// The percentage of pieces and log objects to read. Nil for all, which also checks the files that they
    /// form. Records are always read.
    package var sample: Double?
    /// Who quarantines.
    package var by: String
    package var keys: KeySource
    package init(sample: Double?, by: String, keys: KeySource = .none) {
      self.sample = sample
      self.by = by
      self.keys = keys
    }
  }

  /// How often the repository is listed. If an object is missing, it is listed again, since a shipper may
  /// have folded in the meantime.
  private static let passesMax = 4

  private let store: any ObjectStore
  private let options: Options
  private let now: @Sendable () -> Instant
  /// Returns a random number from 0 up to 100, a new one for each object.
  private let draw: @Sendable () -> Double
  private let progress: @Sendable (_ done: UInt64, _ of: UInt64) -> Void

  package init(
    _ store: any ObjectStore, options: Options, now: @escaping @Sendable () -> Instant,
    draw: @escaping @Sendable () -> Double,
    progress: @escaping @Sendable (UInt64, UInt64) -> Void
  ) {
    self.store = store
    self.options = options
    self.now = now
    self.draw = draw
    self.progress = progress
  }

  package func run() async throws -> VerifyReport {
    let started = now()
    let repository: Repository
    do {
      guard let found = try await Repository.open(store, keys: options.keys) else {
        throw LifeboatError(
          .noBackup, "there is no backup at \(store.location)", hint: "check the bucket and prefix")
      }
      repository = found
    } catch let error as LifeboatError where error.code == .corrupt {
      return unreadable(error, started)
    }
    var catalogue = try await repository.catalogue()
    let total = UInt64(Double(catalogue.bytes) * (options.sample ?? 100) / 100)
    let counter = ProgressCounter(total: max(1, total), report: progress)
    var settled: [VerifyGroup: [VerifyFinding]] = [:]
    var missing: Set<VerifyFinding> = []
    var (leftOut, objectsRead) = (0, 0)
    var wanted: Set<VerifyGroup>?
    for attempt in 1...Verifier.passesMax {
      let pass = pass(repository, catalogue, wanted, counter)
      try await pass.run()
      leftOut = max(leftOut, pass.leftOut)
      objectsRead = max(objectsRead, pass.objectsRead)
      // A damaged object stays damaged. A missing one counts only if it is still missing.
      for group in Set(settled.keys).union(pass.findings.keys) where wanted?.contains(group) ?? true
      {
        settled[group, default: []].removeAll { $0.verdict == .missing }
        for finding in pass.findings[group] ?? [] where !settled[group]!.contains(finding) {
          settled[group]!.append(finding)
        }
      }
      let stillMissing = Set(settled.values.joined().filter { $0.verdict == .missing })
      if stillMissing.isSubset(of: missing) || attempt == Verifier.passesMax { break }
      missing.formUnion(stillMissing)
      wanted = Set(settled.filter { $0.value.contains { $0.verdict == .missing } }.keys)
      catalogue = try await repository.catalogue()
    }
    var report = VerifyReport(
      repository: repository.id.hexadecimal, location: store.location, at: started.description,
      sample: options.sample, objects: catalogue.objects, bytes: catalogue.bytes,
      foreignObjects: catalogue.foreign, objectsRead: min(objectsRead + 1, catalogue.objects),
      bytesRead: min(counter.sum, catalogue.bytes),
      isSound: !settled.values.contains { $0.contains { $0.isFailure } },
      findings: settled.values.joined().sorted {
        ($0.verdict.rank, $0.object) < ($1.verdict.rank, $1.object)
      },
      findingsLeftOut: leftOut, quarantined: [])
    try await quarantine(settled, repository, catalogue, &report)
    counter.finish()
    return report
  }

  private func pass(
    _ repository: Repository, _ catalogue: Catalogue, _ wanted: Set<VerifyGroup>?,
    _ counter: ProgressCounter
  ) -> VerifyPass {
    let (sample, draw) = (options.sample, draw)
    return VerifyPass(
      repository: repository, catalogue: catalogue, wanted: wanted, isSample: sample != nil,
      chooses: { sample.map { draw() < $0 } ?? true }, progress: { counter.add($0) })
  }

  /// Without its descriptor nothing in a repository can be read.
  private func unreadable(_ error: LifeboatError, _ started: Instant) -> VerifyReport {
    VerifyReport(
      repository: "", location: store.location, at: started.description, sample: options.sample,
      objects: 0, bytes: 0, foreignObjects: 0, objectsRead: 0, bytesRead: 0, isSound: false,
      findings: [
        VerifyFinding(
          .damaged, ObjectPath.descriptor.text, error.reason,
          consequence: "nothing in the repository can be restored until it is repaired",
          remedy: error.hint ?? VerifyFinding.copyRemedy)
      ], findingsLeftOut: 0, quarantined: [])
  }

  // MARK: Quarantine

  /// From now on a damaged generation counts as absent: restores avoid it, and a shipper uploads it again. If
  /// the quarantine can't be written, this is a remark.
  private func quarantine(
    _ findings: [VerifyGroup: [VerifyFinding]], _ repository: Repository, _ catalogue: Catalogue,
    _ report: inout VerifyReport
  ) async throws {
    let catalogue = try await repository.withoutUnusable(catalogue)
    for (group, found) in findings {
      guard case .generation(let id) = group, let worst = found.first(where: { $0.isFailure }),
        !catalogue.quarantined.contains(id)
      else { continue }
      let record = Quarantine(
        generation: id, repository: repository.id, at: now(), object: worst.object,
        reason: worst.detail, by: options.by)
      do {
        let outcome = try await repository.create(
          record, .operation(.quarantines, id: id.description), kind: .operation)
        guard outcome == .created else {
          throw LifeboatError(.corrupt, "another object has its name")
        }
        report.quarantined.append(id.description)
      } catch let error as LifeboatError {
        report.findings.append(
          VerifyFinding(
            .remark, ObjectPath.operation(.quarantines, id: id.description).text,
            "it could not be written: \(error.message)",
            consequence: "the damaged full copy is not uploaded again",
            remedy: "run verify with credentials that may write below ops/quarantines/"))
      }
    }
  }
}

extension VerifyFinding.Verdict {
  /// The worst first.
  fileprivate var rank: Int {
    switch self {
    case .damaged: 0
    case .missing: 1
    case .remark: 2
    }
  }
}
