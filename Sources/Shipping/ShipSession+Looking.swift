import Auditing
import BackupFormat
import BackupTypes
import Logging
import RepositoryAccess
import SystemIO
import WriterLogic

/// Looks at the data directory and reads what was appended.
extension ShipSession {
  /// How much is scanned between two looks at the directory.
  private static let scanTurnBytes: UInt64 = 16 << 20
  /// Scanning pauses when this much is scanned but not durable, which limits the number of marks and cuts.
  private static let scanAheadMax: UInt64 = 64 << 20

  mutating func look() async throws -> Ending? {
    let view = try await source.look()
    note(view)
    if let end = noteDirectory(view) { return end }
    writing.observe(view)
    if let end = try await compareVersions(view) { return end }
    if let file = writing.chains.files.first(where: \.isCutBack) {
      return .diverged(
        "\(file.name) is shorter than the \(counted(file.durable, "byte")) that were uploaded")
    }
    source.release(except: writing.neededPins)
    tails.forget(except: writing.neededPins)
    return await shedPins()
  }

  /// If the path leads to another directory, the held files of the old one are still shipped, since a
  /// server may still write there. Files in the new directory begin a new timeline, once the old log is
  /// durable.
  private mutating func noteDirectory(_ view: CaptureView) -> Ending? {
    guard view.otherDirectory.holdsFiles else {
      movedSince = nil
      return nil
    }
    let now = time.monotonic
    movedSince = movedSince ?? now
    writing.flush()
    guard writing.isLogSettled || now - movedSince! > Audit.grace else { return nil }
    return .diverged("\(options.place) is no longer the same directory")
  }

  /// If the time of a base or a dump changes, its bytes are compared. A changed time alone does not make it
  /// another file.
  private mutating func compareVersions(_ view: CaptureView) async throws -> Ending? {
    if let base = view.aof.set?.base?.file, base.pin == writing.chains.followed?.anchor?.pin,
      case .base(let record)? = writing.chains.followed?.anchor?.kind,
      !confirmed.contains(base.version)
    {
      guard try await isGeneration(record.generation, base) else {
        return .diverged("\(base.name) was overwritten")
      }
      confirm(base, record.generation)
    }
    if let file = view.dump, let dump = writing.dump.durable, dump.file?.identity == file.identity,
      !confirmed.contains(file.version)
    {
      if try await isGeneration(dump.record.generation, file) {
        writing.dumpMatches(file)
        confirm(file, dump.record.generation)
      } else {
        writing.dumpDiffers()
      }
    }
    for file in writing.chains.files
    where view.held[file.pin].map({ $0.size == file.size }) ?? false {
      // If a growing file was written to and did not grow, it was overwritten.
      guard let open = source.file(file.pin), tails.isKnown(file.pin) else { continue }
      guard try await tails.isUnchanged(open, file.pin, at: file.scanned) else {
        return .diverged(
          "\(file.name) changed before offset \(file.scanned), in bytes already read")
      }
    }
    return nil
  }

  private func isGeneration(_ id: GenerationID, _ file: PinnedFile) async throws -> Bool {
    guard let open = source.file(file.pin) else { return false }
    return try await Fingerprint.of(open, size: file.size, frame: repository.frame)
      == id.fingerprint
  }

  private mutating func confirm(_ file: PinnedFile, _ id: GenerationID) {
    if confirmed.count > 16 { confirmed.removeAll() }
    confirmed.insert(file.version)
    shipper.acknowledged.matched(file.version, id)
  }

  /// Limits the disk space that only our descriptors keep in use.
  private mutating func shedPins() async -> Ending? {
    let unlinked = await source.unlinkedBytes()
    let total = unlinked.values.reduce(0, +)
    shipper.status.update { $0.pinnedBytes = total }
    guard total > options.pinnedMax else { return nil }
    switch writing.shed(unlinked: unlinked, limit: options.pinnedMax) {
    case .nothing: return nil
    case .dropped(let names):
      logger.error(
        "skipped files that Redis replaced before they were uploaded: they used too much disk space (--max-pinned)",
        metadata: ["files": "\(names.joined(separator: ", "))", "pinned": "\(humanBytes(total))"])
      source.release(except: writing.neededPins)
      return nil
    case .endsTimeline(let name):
      return .diverged(
        "skipped \(name), which Redis replaced before it was uploaded: it used too much disk space")
    }
  }

  var canScanMore: Bool {
    writing.pendingLogBytes < ShipSession.scanAheadMax && !writing.unscanned.isEmpty
  }

  mutating func scan() async throws -> Ending? {
    var budget = ShipSession.scanTurnBytes
    for (pin, from, to) in writing.unscanned where budget > 0 {
      guard writing.pendingLogBytes < ShipSession.scanAheadMax, let file = source.file(pin) else {
        return nil
      }
      if source.hasFiles {
        guard try await tails.isUnchanged(file, pin, at: from) else {
          return .diverged("\(file.name) changed before offset \(from), in bytes already read")
        }
      }
      let end = min(to, from + budget)
      var position = from
      try await file.stream(from: from, to: end) { chunk in
        writing.consume(chunk, of: pin)
        position += UInt64(chunk.count)
        return true
      }
      // A file that no manifest names any more is not measured again: it would be read for ever.
      guard position == end else {
        return .diverged("\(file.name) ended at offset \(position) while it was read")
      }
      // Nobody overwrites a stream.
      if source.hasFiles { try await tails.remember(file, pin, upTo: end) }
      budget -= end - from
    }
    return nil
  }
}
