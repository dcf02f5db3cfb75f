package import BackupFormat
import BackupTypes

/// The AOF set that is followed, and the proved order of its files.
///
/// Invariant (proved chains): `files[k+1]` follows `files[k]` only because one manifest was read that lists
/// both, one after the other, as type `i`.
package struct Chain: Sendable {
  /// What a restore needs before the files from `first` on.
  package struct Anchor: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
      case base(Snapshot.Base)
      /// A manifest without a `b` line, or a legacy AOF: the log alone is the whole state.
      case nothing
    }
    package var kind: Kind
    package var first: Int
    /// The pin of its BASE on disk, once that is known.
    package var pin: PinID?
    /// Files between its BASE and `files` that are deleted on disk but complete in the repository: a rewrite
    /// removed them while no shipper ran.
    package var prefix: [Snapshot.LogFile]
    package init(kind: Kind, first: Int, pin: PinID? = nil, prefix: [Snapshot.LogFile] = []) {
      self.kind = kind
      self.first = first
      self.pin = pin
      self.prefix = prefix
    }
  }

  /// How far the upload of a file has come.
  package enum UploadState: Sendable, Equatable {
    /// It is to be uploaded, or is being uploaded.
    case wanted
    case durable(Snapshot.Base)
    /// This version of it can never be used.
    case refused
  }

  /// A BASE that a manifest names and that is not yet the anchor of the chain.
  package struct Candidate: Sendable, Equatable {
    package var file: PinnedFile
    package var sequence: Int64
    package var first: Int
    package private(set) var upload = UploadState.wanted
    /// The durable BASE, while it waits for the log before it to become durable: see `moveToCandidate`.
    var durable: Snapshot.Base? { if case .durable(let base) = upload { base } else { nil } }

    /// Its upload failed its checks, or it was dropped.
    fileprivate mutating func refuse() -> IllegalTransition? {
      guard upload == .wanted else {
        return IllegalTransition("\(file.name) is refused, and is \(upload)")
      }
      upload = .refused
      return nil
    }
    /// Another version of a refused file is wanted.
    fileprivate mutating func retry(_ other: PinnedFile) {
      guard upload == .refused else { return }
      (file, upload) = (other, .wanted)
    }
    fileprivate mutating func store(_ base: Snapshot.Base) -> IllegalTransition? {
      guard upload == .wanted else {
        return IllegalTransition("\(file.name) is durable, and is \(upload)")
      }
      upload = .durable(base)
      return nil
    }

    package init(file: PinnedFile, sequence: Int64, first: Int) {
      self.file = file
      self.sequence = sequence
      self.first = first
    }
  }

  /// Which BASE the files can be read with.
  package enum BaseState: Sendable, Equatable {
    /// None yet, and no BASE is expected: a legacy AOF, until its content at the first look is durable.
    case none
    /// None until this BASE is durable.
    case awaiting(Candidate)
    case anchored(Anchor)
    /// The files can be read with `from`. A newer BASE has to be uploaded, or waits for the log before it.
    case rebasing(from: Anchor, to: Candidate)

    init(_ anchor: Anchor?, _ candidate: Candidate?) {
      self =
        switch (anchor, candidate) {
        case (nil, nil): .none
        case (nil, let candidate?): .awaiting(candidate)
        case (let anchor?, nil): .anchored(anchor)
        case (let anchor?, let candidate?): .rebasing(from: anchor, to: candidate)
        }
    }

    var name: String {
      switch self {
      case .none: "none"
      case .awaiting: "awaiting"
      case .anchored: "anchored"
      case .rebasing: "rebasing"
      }
    }
  }

  /// How the chain relates to the state before it.
  package enum Origin: Sendable, Equatable {
    /// The comparison before the claim placed it.
    case compared
    /// It does not follow any earlier state. It stays detached until the shrink guard has judged it.
    case unjudged
    /// It does not follow any earlier state either, but it is not an accident, or there was no earlier state.
    case judged
  }

  package let form: AOFForm
  package var files: [FollowedFile]
  package private(set) var base: BaseState {
    didSet { Transitions.note("chain", oldValue.name, base.name) }
  }
  package private(set) var origin = Origin.compared
  /// The file before this chain, which ends inside a command. The chain is therefore not a state by itself.
  private var torn: String?

  package var anchor: Anchor? {
    switch base {
    case .none, .awaiting: nil
    case .anchored(let anchor), .rebasing(let anchor, _): anchor
    }
  }
  package var candidate: Candidate? {
    switch base {
    case .none, .anchored: nil
    case .awaiting(let candidate), .rebasing(_, let candidate): candidate
    }
  }
  /// What a restore may begin with; nil as long as the chain is not judged.
  var readableAnchor: Anchor? { origin == .unjudged ? nil : anchor }

  /// A set about which nothing is known. Every file is read from its start, and the chain waits for its BASE.
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
    base = BaseState(anchor, candidate)
  }

  /// A set that provably follows nothing.
  /// - Parameter isFirst: whether there was no earlier state.
  init(anew set: AOFSetView, isFirst: Bool) {
    self.init(fresh: set)
    origin = isFirst ? .judged : .unjudged
  }

  private mutating func set(_ anchor: Anchor?, _ candidate: Candidate?) {
    base = BaseState(anchor, candidate)
  }

  /// Notes that the chain is not the result of an accident.
  mutating func judge() -> IllegalTransition? {
    guard origin == .unjudged else {
      return IllegalTransition("a chain is judged that is \(origin)")
    }
    origin = .judged
    return nil
  }

  /// Notes that the chain is given up before it was judged. It is never restored.
  mutating func leave() {
    if origin == .unjudged { set(nil, candidate) }
    for index in files.indices { files[index].makeFinal() }
  }

  /// Divides the chain after a file that ends inside a command. The files after it wait for the next BASE.
  mutating func divide(behind index: Int) -> Chain {
    var rest = Chain(form: form, files: Array(files[(index + 1)...]), anchor: nil, candidate: nil)
    rest.origin = origin
    rest.torn = files[index].name
    files.removeLast(files.count - index - 1)
    if var moved = candidate, moved.first > index {
      set(anchor, nil)
      moved.first -= index + 1
      rest.set(nil, moved)
      rest.moveToCandidate()
    }
    return rest
  }

  package enum Continuity: Sendable, Equatable {
    /// The set on disk is this chain, perhaps with more files at the end or a newer BASE.
    case continues
    /// Nothing proves that the set on disk follows this chain.
    case broken
  }

  /// Whether the set on disk continues this chain. Files are recognised by their pin: an open descriptor is
  /// the same file as long as the name leads to the same inode.
  package func continuity(with set: AOFSetView) -> Continuity {
    guard set.form == form else { return .broken }
    guard let last = files.last else {
      // There is only a BASE so far. A set with the same BASE continues it.
      let base = set.base?.file.pin
      return base != nil && (base == anchor?.pin || base == candidate?.file.pin)
        ? .continues : .broken
    }
    return set.increments.contains { $0.file.pin == last.pin } ? .continues : .broken
  }

  /// Takes over a set that continues this chain: sizes, files at the end, a newer BASE. A file is appended
  /// only if the same manifest lists the last file before it.
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

  /// If no set can be read, the held files are still followed, since a server may still write to them.
  package mutating func measure(_ held: [PinID: PinnedFile]) {
    for index in files.indices {
      guard let file = held[files[index].pin] else { continue }
      files[index].observe(size: file.size, modified: file.modified.instant)
    }
  }

  /// The base was refused, but the file has changed since, so it is read again.
  mutating func retryBase(_ file: PinnedFile) {
    guard var again = candidate, again.file.pin == file.pin else { return }
    again.retry(file)
    set(anchor, again)
  }

  /// The upload of the candidate failed its checks, or it is dropped.
  mutating func refuseCandidate() -> IllegalTransition? {
    guard var refused = candidate else { return nil }
    let illegal = refused.refuse()
    set(anchor, refused)
    return illegal
  }

  private mutating func adoptBase(of set: AOFSetView) {
    guard let base = set.base, base.file.pin != candidate?.file.pin,
      base.file.pin != anchor?.pin,
      let firstPin = set.increments.first?.file.pin,
      let first = files.firstIndex(where: { $0.pin == firstPin })
    else { return }
    self.set(anchor, Candidate(file: base.file, sequence: base.sequence, first: first))
  }

  /// The BASE of `candidate` is durable.
  mutating func anchor(on base: Snapshot.Base, pin: PinID) -> IllegalTransition? {
    guard var made = candidate, made.file.pin == pin else { return nil }
    if let illegal = made.store(base) { return illegal }
    set(anchor, made)
    moveToCandidate()
    return nil
  }

  /// Moves the chain to a durable BASE, once the log before it is durable. The BASE holds the result of that
  /// log, but a restore to a time before the BASE needs the log to its end. Snapshots name the files of this
  /// log only as long as the chain begins with the old BASE. If the chain was not readable before, its log
  /// before the BASE never will be, and is dropped.
  mutating func moveToCandidate() {
    guard let made = candidate, let base = made.durable,
      anchor == nil || files[..<made.first].allSatisfy({ $0.isFinal && $0.isDurable })
    else { return }
    files.removeFirst(made.first)
    self.base = .anchored(Anchor(kind: .base(base), first: 0, pin: made.file.pin))
  }

  /// A legacy AOF is readable once its content at the first look is durable.
  package mutating func anchorLegacyIfReady() {
    guard form == .legacy, base == .none, let file = files.first,
      file.scanned >= min(file.firstSize, file.size),
      file.durable >= min(file.firstSize, file.boundary)
    else { return }
    base = .anchored(Anchor(kind: .nothing, first: 0))
  }

  /// The files that a snapshot may list: a file is listed only if all files before it are complete and
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

  /// Whether a restore can use the chain, but not all of its log is durable.
  package var isReadableAndPending: Bool { anchor != nil && !files.allSatisfy(\.isDurable) }

  /// The file of the BASE that this chain has, or waits for. After a torn file, it is that file, until there
  /// is a BASE.
  package var awaitedBase: String? {
    if let candidate { return candidate.file.name }
    if case .base(let base) = anchor?.kind { return base.file }
    return anchor == nil ? torn : nil
  }

  /// A file that others follow but that does not end with a complete command. The chain can't be loaded
  /// beyond it.
  package var tornFile: FollowedFile? {
    files.dropLast().first { $0.isFinal && $0.isScanned && !$0.isComplete }
  }

  package var pins: Set<PinID> {
    var pins = Set(files.map(\.pin))
    if let candidate, candidate.upload == .wanted { pins.insert(candidate.file.pin) }
    return pins
  }
}
