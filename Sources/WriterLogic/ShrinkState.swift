import BackupFormat
import BackupTypes
import RedisFormats

/// What the shrink guard knows while Lifeboat runs.
struct ShrinkState: Sendable {
  /// A timeline asks at most one question.
  enum Question: Sendable {
    case none
    /// An earlier timeline asked the question. This pin is in force until somebody answers it.
    case open(pin: String)
    /// The state may be the result of an accident. This timeline does not ship it; the next claim does.
    case due(ShrinkGuard.Suspicion)
  }

  private(set) var question: Question
  /// How many keys the BASEs of the chains hold.
  private var bases: [GenerationID: KeyBounds]
  /// The dump that existed before the claim.
  private let judgedDump: FileVersion?
  /// There was a restore point before this timeline.
  let hadPoint: Bool

  init(_ comparison: Comparison, _ view: CaptureView, _ claim: Claim) {
    let pin = claim.suspicion?.pin ?? comparison.question
    question = pin.map { .open(pin: $0) } ?? .none
    bases = comparison.bases
    judgedDump = view.dump?.version
    hadPoint = comparison.hasPoint
  }

  var suspicion: ShrinkGuard.Suspicion? {
    if case .due(let suspicion) = question { suspicion } else { nil }
  }

  func isJudged(_ dump: PinnedFile) -> Bool { dump.version == judgedDump }

  /// Whether there are far fewer keys than before. Always nil while another question is open.
  /// - Parameter known: how many keys the newest state has; nil if there is no state.
  func suspicion(
    _ found: ShrinkGuard.Loaded, known: KeyBounds?, isWatched: Bool, _ pins: PinsInForce
  ) -> ShrinkGuard.Suspicion? {
    if case .open(let pin) = question, pins.contains(pin) { return nil }
    guard let known else { return nil }
    return ShrinkGuard.suspicion(known: known, found: found, isWatched: isWatched)
  }

  mutating func ask(_ suspicion: ShrinkGuard.Suspicion) { question = .due(suspicion) }

  // MARK: Keys

  /// Records the keys of a BASE that was uploaded, or that was there already.
  mutating func noteBase(_ result: GenerationResult, in chains: [Chain]) {
    let index = result.index
    var used: Set<GenerationID> = [index.generation]
    for chain in chains {
      if case .base(let base) = chain.anchor?.kind { used.insert(base.generation) }
      if let base = chain.candidate?.durable { used.insert(base.generation) }
    }
    bases = bases.filter { used.contains($0.key) }
    bases[index.generation] = result.keys ?? KeyBounds(index)
  }

  /// How many keys a server would load from `chain`.
  func loaded(by chain: Chain) -> ShrinkGuard.Loaded {
    var base = KeyBounds.unknown
    if let anchor = chain.anchor, anchor.prefix.isEmpty {
      switch anchor.kind {
      case .base(let record): base = bases[record.generation] ?? .unknown
      case .nothing: base = .none
      }
    }
    let files = chain.files.dropFirst(chain.anchor?.first ?? 0)
    return .init(base: base, keys: files.reduce(base) { $1.keyBounds(over: $0) })
  }
}
