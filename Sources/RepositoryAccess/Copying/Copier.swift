import BackupFormat
package import BackupTypes
import HistoryLogic
package import ObjectStorage
import Synchronization
import SystemIO

/// Copies a repository to another place. It copies what a reader of the source sees and the copy lacks.
///
/// It only creates objects. `CopyPlan` defines the order: if the copy is stopped at any point, its contents
/// can be restored, and the next run continues. The copy has the id, the claims and the records of its
/// source, so the ids of restore points are the same. If both have the same keys, the bytes are the same,
/// too.
///
/// Every object of the source is opened and checked before it is written. Stores verify what they receive
/// with a checksum of their own. An object that was sealed again is opened once more before it is sent. At
/// the end, a new listing of the copy has to show everything.
package struct Copier: Sendable {
  package struct Options: Sendable {
    package var isDryRun: Bool
    /// Read back each object after it was written.
    package var readsBack: Bool
    package init(isDryRun: Bool = false, readsBack: Bool = false) {
      self.isDryRun = isDryRun
      self.readsBack = readsBack
    }
  }

  let from: any ObjectStore
  let keys: KeySource
  let to: any ObjectStore
  let own: KeySource?
  let options: Options
  let now: @Sendable () -> Instant
  let reading: @Sendable (UInt64, UInt64) -> Void
  let progress: @Sendable (UInt64, UInt64) -> Void

  /// How often both are listed again because the source changed during the copy.
  private static let roundsMax = 10

  /// - Parameters:
  ///   - keys: the keys that open the source.
  ///   - own: the key of the copy. If it is nil or no key is given, the copy uses the keys of the source.
  ///   - now: this machine's clock.
  ///   - reading: receives how many records of the source were read, and the total.
  ///   - progress: receives how many objects were copied, and the total.
  package init(
    from: any ObjectStore, keys: KeySource, to: any ObjectStore, own: KeySource? = nil,
    options: Options = Options(), now: @escaping @Sendable () -> Instant,
    reading: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in },
    progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
  ) {
    self.from = from
    self.keys = keys
    self.to = to
    self.own = own.flatMap { $0.isGiven ? $0 : nil }
    self.options = options
    self.now = now
    self.reading = reading
    self.progress = progress
  }

  /// - Throws: `.noBackup` if there is no source; `.refused` if the target is not a copy of this source, or
  ///   has a history of its own. Damage does not throw. It is part of the report.
  package func run() async throws -> CopyReport {
    guard let source = try await Repository.open(from, keys: keys) else {
      throw LifeboatError(
        .noBackup, "there is no backup at \(from.location)", hint: "check the bucket and prefix")
    }
    if !options.isDryRun { try await to.prepare() }
    var target = try await CopyTarget.open(
      to, of: source, keys: keys, own: own, writes: !options.isDryRun)
    var report = CopyReport(
      result: .nothing, repository: source.id.hexadecimal, location: from.location,
      copy: to.location, at: now().description, isNew: target.isNew,
      hasOwnKey: !target.sharesKeys, objects: 0)
    var damaged: Set<ObjectPath> = []
    for round in 1... {
      let work = try await CopyWork(
        self, source, &target, damaged: damaged, report: &report)
      if options.isDryRun {
        report.result = work.plan.isEmpty ? .nothing : .planned
        report.copiedObjects = work.plan.objects
        report.isComplete = work.plan.isEmpty && work.heldUntil == nil
        return report
      }
      report.waitsUntil = work.heldUntil?.description
      if work.plan.isEmpty, try await work.slots().isEmpty {
        if round == 1 { try await work.copyRequests() }
        report.isComplete =
          work.heldUntil == nil && !report.findings.contains { $0.isFailure }
          && report.findingsLeftOut == 0
        break
      }
      // The plan after the last round has to be empty. The listing of the copy shows what was written.
      guard round <= Copier.roundsMax else {
        throw LifeboatError(
          .storeUnavailable, "the copy at \(to.location) could not be completed",
          cause:
            "after \(counted(Copier.roundsMax, "round")), \(counted(work.plan.objects, "object")) are "
            + "still missing: the source changes faster than it is copied, or a listing is not complete",
          hint: "run it again; what was copied stays", isRetryable: true)
      }
      let done = try await work.perform()
      report.result = .copied
      report.copiedObjects += done.objects
      report.copiedBytes += done.bytes
      for finding in done.findings { report.add(finding) }
      damaged.formUnion(done.damaged)
    }
    try await addNewest(to: &report, target)
    return report
  }

  private func addNewest(to report: inout CopyReport, _ target: CopyTarget) async throws {
    let copy = target.repository
    let newest = try await copy.withHistory { history in
      try await HistoryReader(repository: copy, history: history).newestUnlessDamaged()
    }
    report.newest = newest?.id
    report.newestInstant = newest?.instant.description
  }
}
