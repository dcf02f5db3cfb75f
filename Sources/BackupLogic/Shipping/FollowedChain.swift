package import BackupFormat
import BackupTypes

/// The AOF set that is followed, and how it hangs together.
///
/// Invariant (proved chains): `files[k+1]` stands behind `files[k]` only because one manifest was read
/// that lists both, one after the other, as type `i`.
package struct FollowedChain: Sendable {
  /// What makes the files from `first` on readable.
  package struct Anchor: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
      case base(Snapshot.Base)
      /// A manifest without a `b` line, or a legacy AOF: the log alone is the whole state.
      case nothing
    }
    package var kind: Kind
    package var first: Int
    package init(kind: Kind, first: Int) {
      self.kind = kind
      self.first = first
    }
  }

  /// A BASE that a manifest names and that does not anchor the chain yet.
  package struct Candidate: Sendable, Equatable {
    package var file: PinnedFile
    package var sequence: Int64
    package var first: Int
    /// Its upload failed its checks: it can never anchor anything.
    package var isBroken = false
    /// It is durable, and waits for the log before it: see `moveToCandidate`.
    package var durable: Snapshot.Base?
    /// Whether it is still to be uploaded.
    package var isPending: Bool { !isBroken && durable == nil }
    package init(file: PinnedFile, sequence: Int64, first: Int) {
      self.file = file
      self.sequence = sequence
      self.first = first
    }
  }

  package let form: AOFForm
  package var files: [FollowedFile]
  package var anchor: Anchor?
  package var candidate: Candidate?

  /// Files between the anchor's BASE and `files` that are gone from the disk and whole in the
  /// repository: a rewrite took them away while nobody watched.
  package var prefix: [Snapshot.LogFile] = []

  /// A set that nothing is known of: every file from its start, waiting for its BASE.
  package init(fresh set: AOFSetView) {
    var files = set.increments.map {
      FollowedFile(
        file: $0.file, sequence: $0.sequence, inherited: [], start: 0,
        hasContentBefore: set.base != nil, isLegacy: set.form == .legacy)
    }
    for index in files.indices.dropLast() { files[index].makeFinal() }
    let candidate = set.base.map { Candidate(file: $0.file, sequence: $0.sequence, first: 0) }
    let isWhole = candidate == nil && set.form != .legacy
    self.init(
      form: set.form, files: files, anchor: isWhole ? Anchor(kind: .nothing, first: 0) : nil,
      candidate: candidate)
  }

  package init(form: AOFForm, files: [FollowedFile], anchor: Anchor?, candidate: Candidate?) {
    self.form = form
    self.files = files
    self.anchor = anchor
    self.candidate = candidate
  }

  package enum Continuity: Sendable, Equatable {
    /// The set on disk is this chain, perhaps grown by files at the end or with a newer BASE.
    case continues
    /// Nothing proves that the set on disk follows this chain.
    case broken
  }

  /// Whether the set on disk continues this chain. Files are recognised by their pin: a descriptor
  /// that is held open is the same file as long as the name leads to the same inode.
  package func continuity(with set: AOFSetView) -> Continuity {
    guard set.form == form else { return .broken }
    guard let last = files.last else {
      // Only a BASE so far: whatever is appended to a set of that very BASE follows it.
      let base = set.base?.file.pin
      return base != nil && (base == anchoredPin || base == candidate?.file.pin)
        ? .continues : .broken
    }
    return set.increments.contains { $0.file.pin == last.pin } ? .continues : .broken
  }

  /// Takes in a set that continues this chain: sizes, files at the end, a newer BASE. A file behind
  /// the last is appended only if the same manifest lists the last.
  package mutating func extend(with set: AOFSetView) {
    for entry in set.increments {
      if let index = files.firstIndex(where: { $0.pin == entry.file.pin }) {
        files[index].observe(size: entry.file.size, modified: entry.file.modified.instant)
      }
    }
    let position =
      files.last.map { last in set.increments.firstIndex { $0.file.pin == last.pin } } ?? -1
    if let position {
      for entry in set.increments[(position + 1)...] {
        if !files.isEmpty { files[files.count - 1].makeFinal() }
        files.append(
          FollowedFile(
            file: entry.file, sequence: entry.sequence, inherited: [], start: 0,
            hasContentBefore: true))
      }
    }
    adoptBase(of: set)
  }

  /// Where no set can be read, the files that are held are followed on: a server may still write to them.
  package mutating func measure(_ held: [PinID: PinnedFile]) {
    for index in files.indices {
      guard let file = held[files[index].pin] else { continue }
      files[index].observe(size: file.size, modified: file.modified.instant)
    }
  }

  /// The base was refused and is another version by now: it is read once more.
  package mutating func retryBase(_ file: PinnedFile) {
    guard candidate?.file.pin == file.pin, candidate?.isBroken == true else { return }
    candidate?.file = file
    candidate?.isBroken = false
  }

  private mutating func adoptBase(of set: AOFSetView) {
    guard let base = set.base, base.file.pin != candidate?.file.pin,
      base.file.pin != anchoredPin,
      let firstPin = set.increments.first?.file.pin,
      let first = files.firstIndex(where: { $0.pin == firstPin })
    else { return }
    candidate = Candidate(file: base.file, sequence: base.sequence, first: first)
  }

  /// The pin of the BASE that anchors this chain, once known.
  package var anchoredPin: PinID?

  /// The BASE of `candidate` is durable.
  package mutating func anchor(on base: Snapshot.Base, pin: PinID) {
    guard let made = candidate, made.file.pin == pin else { return }
    candidate?.durable = base
    moveToCandidate()
  }

  /// Moves the chain over to a BASE that is durable, once the log before it is: the BASE has what that
  /// log holds, but an instant before it needs its tail, and only as long as the chain begins with the
  /// old BASE do snapshots name the files of that log. Where nothing was readable before, the log before
  /// the BASE never will be: it is let go.
  package mutating func moveToCandidate() {
    guard let made = candidate, let base = made.durable,
      anchor == nil || files[..<made.first].allSatisfy({ $0.isFinal && $0.isDurable })
    else { return }
    files.removeFirst(made.first)
    anchor = Anchor(kind: .base(base), first: 0)
    anchoredPin = made.file.pin
    prefix = []
    candidate = nil
  }

  /// A legacy AOF is readable once what it held when it was first seen is durable.
  package mutating func anchorLegacyIfReady() {
    guard form == .legacy, anchor == nil, let file = files.first,
      file.scanned >= min(file.firstSize, file.size),
      file.durable >= min(file.firstSize, file.boundary)
    else { return }
    anchor = Anchor(kind: .nothing, first: 0)
  }

  /// The files that a snapshot may list: a file stands there only when all before it are complete and
  /// durable.
  package var listable: ArraySlice<FollowedFile> {
    let first = anchor?.first ?? 0
    var end = first
    while end < files.count {
      end += 1
      guard end < files.count else { break }
      let file = files[end - 1]
      guard file.isComplete, file.durable == file.size else { break }
    }
    return files[min(first, files.count)..<end]
  }

  /// A restore can use it, and not all of its log is durable.
  package var isReadableAndPending: Bool { anchor != nil && !files.allSatisfy(\.isDurable) }

  /// The file of the BASE that this chain waits for, or has.
  package var awaitedBase: String? {
    if let candidate { return candidate.file.name }
    if case .base(let base) = anchor?.kind { return base.file }
    return nil
  }

  /// A file that others follow but that does not end with a complete command: the chain can't be
  /// loaded beyond it.
  package var tornFile: FollowedFile? {
    files.dropLast().first { $0.isFinal && $0.isScanned && !$0.isComplete }
  }

  package var pins: Set<PinID> {
    var pins = Set(files.map(\.pin))
    if let candidate, !candidate.isBroken { pins.insert(candidate.file.pin) }
    return pins
  }
}
