package import BackupFormat
package import BackupTypes
import RedisFormats

/// Makes the plan for one restore point.
package struct RestorePlanner: Sendable {
  package var history: History
  package var point: RestorePoint
  /// The indexes of the generations that the restore point's snapshot names, by id.
  package var indexes: [GenerationID: GenerationIndex]
  package var options: RestorePlan.Options
  /// Dumps of earlier snapshots of the timeline, the newest first, in case the snapshot's own does not
  /// join.
  package var earlierDumps: [Snapshot.Dump] = []
  /// Dumps that were found damaged, and why: they are left out.
  package var damaged: [GenerationID: String] = [:]

  package init(
    history: History, point: RestorePoint, indexes: [GenerationID: GenerationIndex],
    options: RestorePlan.Options
  ) {
    self.history = history
    self.point = point
    self.indexes = indexes
    self.options = options
  }

  package func plan() throws(LifeboatError) -> RestorePlan {
    var plan = RestorePlan(
      point: point, names: names, files: [], warnings: [], loadsWithYes: nil, loadsWithNo: nil,
      dataset: nil)
    switch point.primary {
    case .rdb: try planDump(&plan)
    case .aof: try planChain(&plan)
    }
    if let loss = point.lostCopy {
      plan.warnings.append("what was backed up after this state can't be restored: " + loss.what)
    }
    for file in plan.files { try checkName(file) }
    // With a larger sum, calculations with sizes could overflow.
    guard plan.bytes <= UInt64(Int64.max) else {
      throw inconsistent("the sum of its file sizes is out of range")
    }
    return plan
  }

  // MARK: A point that is a dump

  private func planDump(_ plan: inout RestorePlan) throws(LifeboatError) {
    guard let dump = point.snapshot.dump else {
      throw inconsistent("its snapshot names no dump")
    }
    let index = try generation(dump.generation)
    let names = self.names
    plan.files.append(
      .init(
        directory: nil, name: names.dump, role: .dump, content: .generation(index), size: index.size
      ))
    plan.dataset = index.dataset
    plan.loadsWithNo = point.instant
    noteVerdict(index, &plan)
    guard options.appendOnly != .no else {
      // A server without AOF gets no AOF. It would never write to it, so the AOF would be out of date if it
      // is switched on later.
      if index.dataset?.isEmpty != true {
        plan.warnings.append(
          "a server with `appendonly yes` would start EMPTY: with --appendonly no, restore writes no AOF"
        )
      }
      return
    }
    // With `appendonly yes` Redis ignores a dump without an AOF and starts empty, so the same bytes are
    // also the BASE.
    if options.usesLegacyForm || needsLegacyForm(index) {
      plan.files.append(
        .init(
          directory: nil, name: names.appendFile, role: .legacy,
          content: .same(0, mustCopy: true), size: index.size))
    } else {
      let base = names.appendFile + ".1.base.rdb"
      plan.files.append(
        .init(
          directory: names.appendDirectory, name: base, role: .base,
          content: .same(0, mustCopy: false), size: index.size))
      plan.files.append(
        manifest([.init(file: base, sequence: 1, kind: .base)], names: names))
    }
    plan.loadsWithYes = point.instant
  }

  /// A dump written by Redis 6 or older goes back to such a server. That knows only the single file, which
  /// every later version adopts.
  func needsLegacyForm(_ index: GenerationIndex) -> Bool {
    guard let dataset = index.dataset, !dataset.isValkey else { return false }
    return (1..<10).contains(dataset.rdbVersion)
  }

  /// Whether a full copy is known to hold no keys.
  func isEmpty(_ index: GenerationIndex) -> Bool { index.dataset?.isEmpty ?? (index.size == 0) }

  // MARK: A point in a log

  private func planChain(_ plan: inout RestorePlan) throws(LifeboatError) {
    guard let chain = point.snapshot.chain else { throw inconsistent("its snapshot has no chain") }
    try checkOrder(chain)
    if options.appendOnly == .no {
      throw LifeboatError(
        .corrupt, "a server with `appendonly no` would not load this restore point",
        cause: "its data is in the AOF, up to \(point.instant)",
        hint: "start Redis with `appendonly yes` and restore without --appendonly no, or choose a "
          + "point that is a dump (`lifeboat list`)")
    }
    let names = self.names
    let increments = try cutFiles(of: chain)
    switch chain.form {
    case .legacy:
      guard let file = increments.first else { throw inconsistent("its AOF has no file") }
      plan.files.append(
        .init(
          directory: nil, name: names.appendFile, role: .legacy, content: .log(file.parts),
          size: file.size))
    case .multiPart:
      if try layStream(chain, increments, &plan) { return }
      if options.usesLegacyForm {
        throw LifeboatError(
          .versionMismatch, "this restore point can't be restored as a single legacy AOF",
          cause: "its full copy or its log is of Redis 7.0 or newer, or of Valkey",
          hint: "restore without --legacy-aof, for Redis 7 or newer, or Valkey")
      }
      try layMultiPart(chain, increments, names, &plan)
    }
    try note(chain, &plan)
    joinDump(chain, names, &plan)
  }

  /// What is to be known about a point in a log.
  func note(_ chain: Snapshot.Chain, _ plan: inout RestorePlan) throws(LifeboatError) {
    plan.loadsWithYes = point.instant
    if let gap = point.gap {
      plan.warnings.append(
        "for the rest of that second, until \(gap.until), no log was uploaded: writes from that time are "
          + "not in this state")
    }
    if let warning = point.warning { plan.warnings.append(warning) }
    try noteLoss(chain, &plan)
  }

  /// If the restore point is the last state before a loss, it is restored with a warning. If that state is
  /// empty, this is an error, since no server should start on it.
  private func noteLoss(_ chain: Snapshot.Chain, _ plan: inout RestorePlan) throws(LifeboatError) {
    let finder = LossFinder(history, snapshots: [point.snapshot])
    guard let loss = finder.loss(rightBehind: point) else { return }
    plan.loss = loss
    guard try holdsKeys(chain) else {
      var error = LifeboatError(
        .corrupt, "the restore point \(point.id) is lost: its log is missing from the repository",
        cause: "\(loss.what) were backed up, after a full copy without keys",
        hint: "`lifeboat list` shows other restore points; `lifeboat verify` lists what is missing")
      error.missingObject = loss.object
      throw error
    }
    plan.warnings.append(
      "the log after this state is lost: \(loss.what) were backed up and are now missing. The writes "
        + "from \(loss.since) to \(loss.until) are lost")
  }

  /// Whether the state may have a key: its full copy has one, or there is some log.
  private func holdsKeys(_ chain: Snapshot.Chain) throws(LifeboatError) -> Bool {
    guard let cut = point.cut, chain.order(of: cut).segment == 0, cut.offset == 0 else {
      return true
    }
    guard let base = chain.base else { return false }
    return try !isEmpty(generation(base.generation))
  }

  private func layMultiPart(
    _ chain: Snapshot.Chain, _ increments: [CutFile], _ names: ServerNames,
    _ plan: inout RestorePlan
  ) throws(LifeboatError) {
    var entries: [AOFManifest.Entry] = []
    if let base = chain.base {
      let index = try generation(base.generation)
      plan.files.append(
        .init(
          directory: names.appendDirectory, name: base.file, role: .base,
          content: .generation(index), size: index.size))
      entries.append(.init(file: base.file, sequence: base.sequence, kind: .base))
      plan.dataset = index.dataset
      noteVerdict(index, &plan)
    }
    for file in increments {
      plan.files.append(
        .init(
          directory: names.appendDirectory, name: file.record.file, role: .increment,
          content: .log(file.parts), size: file.size))
      entries.append(
        .init(file: file.record.file, sequence: file.record.sequence, kind: .increment))
    }
    plan.files.append(manifest(entries, names: names))
  }

  // MARK: Cutting

  struct CutFile {
    var record: Snapshot.LogFile
    var parts: [RestorePlan.LogPart]
    var size: UInt64
  }

  /// The files of the chain up to the cut, each as parts of log objects. Files after the cut are left out.
  /// A hole before it is an error.
  private func cutFiles(of chain: Snapshot.Chain) throws(LifeboatError) -> [CutFile] {
    var files: [CutFile] = []
    for record in chain.files {
      var file = CutFile(record: record, parts: [], size: 0)
      var isLast = false
      for segment in record.segments where !isLast {
        guard segment.from == file.size else {
          throw inconsistent("the log of \(printable(record.file)) has overlapping segments")
        }
        var limit = segment.to
        if let cut = point.cut, cut.timeline == segment.timeline, cut.ordinal == segment.ordinal,
          cut.offset >= segment.from, segment.to.map({ cut.offset <= $0 }) ?? true
        {
          limit = cut.offset
          isLast = true
        }
        guard let limit else {
          throw inconsistent("the cut is outside the log of \(printable(record.file))")
        }
        try append(segment, upTo: limit, to: &file)
      }
      files.append(file)
      if isLast { return files }
    }
    guard point.cut == nil else { throw inconsistent("the cut is outside its log") }
    return files
  }

  private func append(_ segment: Snapshot.Segment, upTo limit: UInt64, to file: inout CutFile)
    throws(LifeboatError)
  {
    guard limit > segment.from else { return }
    let log = history.log(
      of: segment.timeline, ordinal: segment.ordinal, from: segment.from, limit: limit)
    guard log.reached >= limit else {
      throw LifeboatError(
        .corrupt,
        "the log of timeline \(segment.timeline), file \(printable(file.record.file)), has a hole at "
          + "offset \(log.reached)", cause: "an object of the repository is missing",
        hint: "`lifeboat list` shows the restore points before it")
    }
    for span in log.spans {
      let to = min(span.to, limit)
      file.parts.append(
        .init(
          timeline: segment.timeline, ordinal: segment.ordinal, span: span, from: file.size, to: to)
      )
      file.size = to
    }
  }

  // MARK: Names and checks

  var names: ServerNames {
    if let names = options.names { return names }
    var names = ServerNames()
    if let dump = point.snapshot.dump { names.dump = dump.file }
    switch point.snapshot.chain?.form ?? point.snapshot.detached?.form {
    case .multiPart(let directory, let manifest):
      names.appendDirectory = directory
      if manifest.hasSuffix(".manifest") { names.appendFile = String(manifest.dropLast(9)) }
    case .legacy:
      if let file = point.snapshot.chain?.files.first { names.appendFile = file.file }
    case nil: break
    }
    return names
  }

  private func manifest(_ entries: [AOFManifest.Entry], names: ServerNames) -> RestorePlan.File {
    let bytes = AOFManifest(entries: entries).encoded()
    return .init(
      directory: names.appendDirectory, name: names.manifest, role: .manifest,
      content: .bytes(bytes), size: UInt64(bytes.count))
  }

  func generation(_ id: GenerationID) throws(LifeboatError) -> GenerationIndex {
    guard let index = indexes[id] else { throw inconsistent("the full copy \(id) is missing") }
    guard index.generation == id, index.isConsistent else {
      throw inconsistent("the index of the full copy \(id) is inconsistent")
    }
    return index
  }

  func noteVerdict(_ index: GenerationIndex, _ plan: inout RestorePlan) {
    guard index.verdict == .unverified else { return }
    plan.warnings.append(
      "\(printable(index.file)) was archived unverified: "
        + printable(index.remark ?? "its structure is unknown")
    )
  }

  /// If a manifest names a file twice, a server loads it twice. If the sequence numbers decrease, it refuses
  /// the manifest. No writer makes such a chain.
  private func checkOrder(_ chain: Snapshot.Chain) throws(LifeboatError) {
    let names = chain.files.map(\.file) + (chain.base.map { [$0.file] } ?? [])
    guard Set(names).count == names.count else {
      throw inconsistent("its chain lists a file twice")
    }
    let sequences = chain.files.map(\.sequence)
    guard zip(sequences, sequences.dropFirst()).allSatisfy({ $0 < $1 }) else {
      throw inconsistent("the files of its chain are not in order")
    }
  }

  /// Invariant: no file is created outside of the data directory, whatever names are in the bucket.
  private func checkName(_ file: RestorePlan.File) throws(LifeboatError) {
    for component in [file.directory, file.name].compactMap({ $0 })
    where !isPlainFileName(component) {
      throw LifeboatError(
        .corrupt, "the repository names a file that can't be restored: \(printable(component))",
        cause: "it is not a plain file name",
        hint: "the repository was damaged or tampered with: find out how before you use it")
    }
  }

  private func inconsistent(_ reason: String) -> LifeboatError {
    LifeboatError(
      .corrupt, "the restore point \(point.id) can't be restored", cause: reason,
      hint: "`lifeboat list` shows the other restore points")
  }
}

/// Whether `name` is a single path component that is allowed in the data directory and is not one of ours.
package func isPlainFileName(_ name: String) -> Bool {
  !name.isEmpty && name.utf8.count <= 255 && name != "." && name != ".."
    && !name.hasPrefix(".lifeboat") && !name.utf8.contains(UInt8(ascii: "/"))
    && !name.utf8.contains(0)
}
