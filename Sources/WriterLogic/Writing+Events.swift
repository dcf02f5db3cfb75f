package import BackupFormat
package import BackupTypes

/// Handles events: looks, bytes of the log, results of actions.
extension Writing {
  /// Takes a new look at the data directory.
  package mutating func observe(_ newView: CaptureView) {
    versions.look(newView, after: view)
    view = newView
    if let set = newView.aof.set {
      if let base = set.base?.file, versions.isReady(base) { chains.followed?.retryBase(base) }
      if chains.followed?.continuity(with: set) == .continues {
        chains.followed?.extend(with: set)
        closeIfTorn()
        foldComplete()
      } else {
        follow(set)
        settleDraining()
      }
    } else {
      chains.followed?.measure(newView.held)
    }
    judgeLiveness()
    if newView.dump == nil, chains.isReadable, snapshotBody().primary == .aof { dump.forget() }
    chains.assignOrdinals()
    noteDumpPosition()
    judgeChain()
  }

  /// Takes the bytes of a followed file that begin where its scan ended.
  package mutating func consume(_ bytes: UnsafeRawBufferPointer, of pin: PinID) {
    guard let file = chains.files.first(where: { $0.pin == pin }) else { return }
    let time = log.mark(file, at: view.at)
    chains.withFile(pin) { $0.consume(bytes, seenAt: time) }
    closeIfTorn()
    judgeChain()
  }

  // MARK: The record lane

  /// `span` names what was written, for a log object.
  package mutating func recordDurable(span: LogSpan?, now: Instant) {
    let record: Record
    switch records.end() {
    case .success(let ended): record = ended
    case .failure(let illegal): return fail(illegal)
    }
    switch record {
    case .log(let shipment):
      if let span { compactor.gather(shipment, span) }
      logDurable(shipment, now: now)
    case .snapshot(let snapshot):
      said.note(snapshot)
      if snapshot.destructive != nil {
        warnings += pins.pin(snapshot, claim, for: options.pinFor)
      }
    case .guarding: pins.endRecord()
    case .fold(let fold):
      let names = fold.parts.map {
        ObjectPath.log(claim.timeline, ordinal: fold.ordinal, $0).text
      }
      compactor.end(
        removal: options.removesFolded
          ? (now.advanced(byMilliseconds: options.foldGrace), names) : nil)
    }
  }

  private mutating func logDurable(_ shipment: LogShipment, now: Instant) {
    log.note(shipment, now: now)
    chains.withFile(shipment.pin) { $0.acknowledge(upTo: shipment.to) }
    foldComplete()
    noteDrops(of: shipment)
    chains.advance()
    settleDraining()
  }

  /// Folds the gathered objects of a complete file while the file is still open.
  private mutating func foldComplete() {
    let files = chains.files
    compactor.finish { ordinal in
      files.first { $0.ordinal == ordinal }.map { $0.isComplete && $0.durable == $0.size } ?? false
    }
  }

  /// The folded objects whose grace period has passed.
  package mutating func takeRemovals(now: Instant) -> [String] {
    compactor.takeRemovals(now: now)
  }

  /// The record in flight could not be written. A failed fold is dropped, since the objects that it would
  /// have replaced still exist. Returns whether shipping can continue without the record.
  package mutating func recordFailed() -> Bool {
    switch records.end() {
    case .success(.fold):
      compactor.end(removal: nil)
      return true
    case .success: return false
    case .failure(let illegal):
      fail(illegal)
      return false
    }
  }

  // MARK: The generation lane

  /// A generation and its index are durable.
  package mutating func generationDurable(_ result: GenerationResult) {
    let upload: GenerationUpload
    switch copies.end() {
    case .success(let ended): upload = ended
    case .failure(let illegal): return fail(illegal)
    }
    let index = result.index
    switch upload.kind {
    case .dump:
      let record = Snapshot.Dump(
        generation: index.generation, file: upload.file.name, contentAt: index.contentAt,
        pinnedAt: dump.pinnedPosition(of: upload.pin, log: logPosition))
      if isSuspect(index, upload.file) { break }
      dump.store(DurableDump(record: record, dataset: index.dataset, file: upload.file))
      // The time inside the dump is known now.
      judgeLiveness()
    case .base:
      shrink.noteBase(result, in: chains.all)
      let base = Snapshot.Base(index, file: upload.file.name, sequence: upload.sequence)
      fail(chains.anchor(on: base, pin: upload.pin))
    }
    settleDraining()
  }

  /// The generation in flight failed its checks and can never become a restore point. Returns its name.
  package mutating func generationBroken() -> String {
    let upload: GenerationUpload
    switch copies.end() {
    case .success(let ended): upload = ended
    case .failure(let illegal):
      fail(illegal)
      return "a file"
    }
    versions.refuse(upload.file)
    if upload.kind == .dump, said.isDumpNewest { dump.resumeInterval() }
    if chains.followed?.candidate?.file.pin == upload.pin {
      fail(chains.followed?.refuseCandidate())
    }
    settleDraining()
    return upload.file.name
  }

  /// The dump on disk was compared: it has the bytes of the durable one, whatever its times are.
  package mutating func dumpMatches(_ file: PinnedFile) { dump.matches(file) }
  /// The dump on disk has other bytes, although its size and modification time are the same.
  package mutating func dumpDiffers() { dump.differs() }

  /// Somebody released pins, or they expired.
  package mutating func settlePins(released: Set<String>, now: Instant) {
    pins.inForce.settle(released: released, now: now)
  }
  package var pinsInForce: PinsInForce { pins.inForce }

  // MARK: Chains

  private mutating func follow(_ set: AOFSetView) {
    let isFirst = !shrink.hadPoint && !said.hasPoint
    chains.follow(
      Chain(anew: set, isFirst: isFirst), uploading: uploadingPin, lastMark: log.read)
    dump.beginLog()
  }

  private mutating func closeIfTorn() {
    guard let torn = chains.divideAtTornFile(uploading: uploadingPin, lastMark: log.read) else {
      return
    }
    warnings.append(
      "\(torn.name) ends with an unfinished command at offset \(torn.boundary), but newer files follow it. "
        + "They can be backed up after Redis has rewritten its AOF (BGREWRITEAOF)")
  }

  private mutating func settleDraining() {
    let shrink = shrink
    chains.settle(uploading: uploadingPin, named: said.named, claim.timeline) {
      shrink.loaded(by: $0).keys
    }
    judgeChain()
  }
}
