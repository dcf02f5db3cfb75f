import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import ObjectStorage
import RedisFormats
import RepositoryAccess
import Synchronization
import SystemIO
import SystemPackage

/// Downloads a plan's files into the staging directory, on the same file system as the target, and verifies
/// every digest and each complete file.
struct RestoreStaging: Sendable {
  let repository: Repository
  let plan: RestorePlan
  let history: History
  /// The directory of the staged files.
  let root: OpenDirectory
  let owner: StagedOwner
  /// Whether an earlier run has staged files. Those that pass their checks are used again.
  let reuses: Bool
  /// The clock of the restore.
  let now: Instant
  let progress: @Sendable (UInt64) -> Void
  /// What was found in the full copy that a server would load.
  let seen = Seen()

  final class Seen: Sendable {
    private struct State {
      var expired: UInt64 = 0
      var hasSlots = false
    }
    private let state = Mutex(State())
    /// Keys that had expired by `now`.
    var expired: UInt64 { state.withLock { $0.expired } }
    /// A node of a cluster wrote it.
    var hasSlots: Bool { state.withLock { $0.hasSlots } }
    fileprivate func add(_ check: StagedFileCheck) {
      state.withLock { state in
        state.expired &+= check.expired
        if check.hasSlots { state.hasSlots = true }
      }
    }
  }

  /// The memory that opening needs in addition to the object, for two pieces or for one object of the log. No
  /// more are opened at the same time.
  private static func openingBytes(isEncrypted: Bool) -> Int {
    (isEncrypted ? 3 : 2) * MemoryBound.objectBytes
  }
  private let opening: BudgetGate
  /// For objects that are fetched and what they hold.
  var objectsBytes: Int { MemoryBound.current.objectsBytes - opening.capacity }

  init(
    repository: Repository, plan: RestorePlan, history: History, root: OpenDirectory,
    owner: StagedOwner, reuses: Bool, now: Instant, progress: @escaping @Sendable (UInt64) -> Void
  ) {
    self.repository = repository
    self.plan = plan
    self.history = history
    self.root = root
    self.owner = owner
    self.reuses = reuses
    self.now = now
    self.progress = progress
    opening = BudgetGate(
      capacity: RestoreStaging.openingBytes(isEncrypted: repository.frame.secrets != nil))
  }

  /// Returns the staged files, for the journal.
  func run() async throws -> [RestoreJournal.Staged] {
    var digests: [Digest] = []
    var sizes = plan.files.map(\.size)
    for (index, file) in plan.files.enumerated() {
      switch file.content {
      case .generation(let generation) where plan.point.primary == .aof && !plan.isLoaded(file):
        do {
          digests.append(try await fetch(generation, file))
        } catch let error as LifeboatError
          where error.code == .corrupt || error.code == .versionMismatch
        {
          let reason = error.inOneLine
          throw UnneededDamage(generation: generation.generation, reason: reason)
        }
      case .generation(let generation): digests.append(try await fetch(generation, file))
      case .log(let parts): digests.append(try await fetch(parts, file))
      case .bytes(let bytes):
        try write(bytes, file)
        digests.append(StagedDigest.of(bytes))
      case .same(let source, let mustCopy):
        precondition(source < index, "a link to a file that is not there yet")
        try link(plan.files[source], file, mustCopy: mustCopy)
        digests.append(digests[source])
      case .stream(let source, let parts):
        precondition(source < index, "a copy of a file that is not there yet")
        let staged = try await fetch(parts, over: plan.files[source], file)
        digests.append(staged.digest)
        sizes[index] = staged.size
      }
    }
    for (file, size) in zip(plan.files, sizes) { try checkSize(file, size) }
    try setTimes()
    try removeStrays()
    try synchronizeDirectories()
    return plan.files.indices.map {
      .init(path: plan.files[$0].path, size: sizes[$0], digest: digests[$0])
    }
  }

  /// Sets the times of the files to those of their content. A shipper uses these times to decide whether
  /// the dump or the AOF is the newer state, as long as no server has written here.
  private func setTimes() throws {
    for file in plan.files {
      guard let staged = try directory(file).open(file.name) else { continue }
      switch (file.role, file.content) {
      case (.dump, .generation(let index)): try staged.setModified(index.contentAt)
      case (.dump, _): continue  // a link: it has its target's time
      default: try staged.setModified(plan.point.instant)
      }
    }
  }

  /// Removes what an earlier run staged for another restore point.
  private func removeStrays() throws {
    let wanted = Set(plan.files.map(\.path))
    for entry in try root.entries() {
      if entry.kind == .directory, plan.files.contains(where: { $0.directory == entry.name }),
        let inner = try root.openDirectory(entry.name)
      {
        for file in try inner.entries() where !wanted.contains(entry.name + "/" + file.name) {
          try inner.removeTree(file.name)
        }
      } else if !wanted.contains(entry.name) {
        try root.removeTree(entry.name)
      }
    }
  }

  // MARK: Fetching

  private func fetch(_ index: GenerationIndex, _ file: RestorePlan.File) async throws -> Digest {
    let staged = try open(file)
    let parts = (0..<index.pieces.count).map { number in
      Part(
        name: .piece(index.generation, number: number, index.pieces[number].short), kind: .piece,
        range: index.range(ofPiece: number), skip: 0, content: index.pieces[number])
    }
    // A piece that does not have the digest in the index is rejected.
    if repository.frame.secrets == nil {
      _ = try await fetch(parts, into: staged, file, hashes: false)
      return StagedDigest.of(chunks: index.pieces)
    }
    return try await fetch(parts, into: staged, file)
  }

  private func fetch(_ parts: [RestorePlan.LogPart], _ file: RestorePlan.File) async throws
    -> Digest
  {
    let staged = try open(file)
    return try await fetch(parts.map { Part($0) }, into: staged, file)
  }

  struct Part: Sendable {
    var name: ObjectPath
    var kind: ObjectKind
    var range: Range<UInt64>
    var skip: Int
    /// For a piece: the digest in the index.
    var content: Digest?
    /// For log: whether all bytes of the object are needed.
    var isWhole = false
    var span: (LogSpan, TimelineNumber)?

    init(
      name: ObjectPath, kind: ObjectKind, range: Range<UInt64>, skip: Int, content: Digest?
    ) {
      (self.name, self.kind, self.range, self.skip) = (name, kind, range, skip)
      self.content = content
    }
    init(_ part: RestorePlan.LogPart) {
      self.init(
        name: part.name, kind: .log, range: part.from..<part.to,
        skip: Int(part.from - part.span.from), content: nil)
      isWhole = part.from == part.span.from && part.to == part.span.to
      span = (part.span, part.timeline)
    }

    /// The memory from the request until the part is checked: the object, then its content.
    var heldBytes: Int {
      let content = span.map { Int($0.0.count) } ?? GenerationIndex.pieceBytes
      return max(
        MemoryBound.current.transferBytes, bulkCapacity(min(content, LogPayload.sizeMax) + 4096))
    }

    /// Whether bytes with this digest are the part. If so, the part is staged already. For log, only the part
    /// of the digest in the object's name is known.
    func isFound(_ digest: Digest) -> Bool {
      if let content { return digest == content }
      return isWhole && digest.short == span?.0.digest
    }
  }

  /// - Parameter hashes: whether to return the digest of the file. Otherwise the returned value has no
  ///   meaning.
  private func fetch(
    _ parts: [Part], into staged: OpenFile, _ file: RestorePlan.File, hashes: Bool = true
  ) async throws -> Digest {
    var digest = StagedDigest()
    var check = StagedFileCheck(file.content, now: now)
    try staged.allocate(file.size)
    // The file is checked in order while other parts are fetched.
    try await ReadAhead.run(
      parts, cost: \.heldBytes, within: objectsBytes
    ) { part in
      try await fetch(part, into: staged)
    } take: { _, content in
      content.withUnsafeBytes {
        check.consume($0)
        if hashes { digest.consume($0) }
      }
    }
    if let reason = check.finish(size: file.size) { throw broken(file, reason) }
    if plan.isLoaded(file) { seen.add(check) }
    try staged.truncate(to: file.size)
    try staged.synchronize()
    return digest.finish()
  }

  /// Returns the bytes of the part, which are then staged.
  private func fetch(_ part: Part, into staged: OpenFile) async throws -> ArraySlice<UInt8> {
    let length = Int(part.range.upperBound - part.range.lowerBound)
    defer { progress(UInt64(length)) }
    if reuses, part.content != nil || part.isWhole,
      try staged.status().size >= part.range.upperBound
    {
      let found = try staged.bytes(from: part.range.lowerBound, to: part.range.upperBound)
      if part.isFound(repository.frame.digest(found)) { return found[...] }
    }
    let wanted = try await opened(part).bytes
    try wanted.withUnsafeBytes { try staged.write($0, at: part.range.lowerBound) }
    staged.beginWriteback(from: part.range.lowerBound, to: part.range.upperBound)
    return wanted
  }

  /// The bytes of the part, and the marks of its object.
  func opened(_ part: Part) async throws -> (bytes: ArraySlice<UInt8>, marks: [Mark]) {
    guard let object = try await object(part) else { throw Missing(name: part.name.text) }
    let copies = (part.kind == .log ? 2 : 1) + (repository.frame.secrets == nil ? 0 : 1)
    let turn = try await opening.take(copies * MemoryBound.objectBytes)
    defer { turn.shrink(to: 0) }
    let (bytes, marks) = try content(object, part)
    let length = Int(part.range.upperBound - part.range.lowerBound)
    guard bytes.count >= part.skip + length else {
      throw LifeboatError(.corrupt, "the object \(part.name.text) is shorter than recorded")
    }
    return (bytes[part.skip..<part.skip + length], marks)
  }

  /// A dump next to a log is damaged. The restored state does not need it.
  struct UnneededDamage: Error {
    var generation: GenerationID
    var reason: String
  }

  /// An object of the plan was deleted by a fold or by retention. The restore plans again.
  struct Missing: Error { var name: String }

  /// A log object can't be used, but others have its bytes. The restore plans again without it.
  struct Replaceable: Error {
    var name: ObjectPath
    var reason: String
  }

  // MARK: Files

  func directory(_ file: RestorePlan.File) throws -> OpenDirectory {
    guard let name = file.directory else { return root }
    try root.makeDirectory(name, mode: 0o755)
    guard let directory = try root.openDirectory(name) else {
      throw LifeboatError(.failure, "\(root.path)/\(name) was removed during the restore")
    }
    try owner.give(directory)
    return directory
  }

  func open(_ file: RestorePlan.File) throws -> OpenFile {
    let directory = try directory(file)
    if let status = try directory.status(of: file.name) {
      if reuses, status.kind == .regular, status.links == 1 {
        let staged = try OpenFile(openReadWrite: directory.path.appending(file.name))
        try own(staged, file)
        return staged
      }
      try directory.removeTree(file.name)
    }
    let made = try directory.create(file.name, mode: 0o644)
    try own(made, file)
    return made
  }

  /// A server replaces a dump, a BASE and a manifest, and never writes to them.
  private func own(_ staged: OpenFile, _ file: RestorePlan.File) throws {
    try owner.give(staged, isWritten: file.role == .increment || file.role == .legacy)
  }

  private func write(_ bytes: [UInt8], _ file: RestorePlan.File) throws {
    let staged = try open(file)
    try bytes.withUnsafeBytes { try staged.write($0, at: 0) }
    try staged.truncate(to: UInt64(bytes.count))
    try staged.synchronize()
  }

  private func link(_ source: RestorePlan.File, _ file: RestorePlan.File, mustCopy: Bool) throws {
    let from = try directory(source)
    let to = try directory(file)
    try to.removeTree(file.name)
    if !mustCopy, try from.linkIfSupported(source.name, to: to, as: file.name) { return }
    guard let original = try from.open(source.name) else {
      throw LifeboatError(.failure, "\(from.path)/\(source.name) was removed during the restore")
    }
    let copy = try open(file)
    try fill(copy, from: original, size: source.size)
    try copy.synchronize()
    progress(file.size)
  }

  func fill(_ copy: OpenFile, from original: OpenFile, size: UInt64) throws {
    var position: UInt64 = 0
    try original.forEachChunk(from: 0, to: size) { chunk in
      try copy.write(chunk, at: position)
      position += UInt64(chunk.count)
      return true
    }
  }

  private func synchronizeDirectories() throws {
    for name in Set(plan.files.compactMap(\.directory)) {
      try root.openDirectory(name)?.synchronize()
    }
    try root.synchronize()
  }

  // MARK: Verifying

  private func checkSize(_ file: RestorePlan.File, _ wanted: UInt64) throws {
    guard let staged = try directory(file).open(file.name) else {
      throw LifeboatError(.failure, "\(file.path) was removed during the restore")
    }
    let size = try staged.status().size
    guard size == wanted else {
      throw broken(file, "it has \(counted(size, "byte")), not \(wanted)")
    }
  }

  func broken(_ file: RestorePlan.File, _ reason: String) -> LifeboatError {
    LifeboatError(
      .corrupt, "the restored \(printable(file.path)) is damaged", cause: reason,
      hint:
        "nothing was changed; `lifeboat verify` marks what is damaged, and `lifeboat list` then shows what "
        + "can be restored")
  }
}
