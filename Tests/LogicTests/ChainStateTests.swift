import BackupFormat
import BackupTypes
import RedisFormats
import TestSupport
import Testing

@testable import WriterLogic

/// The states of a chain, of the chains beside it and of the dump, and the legal transitions.
@Suite struct ChainStateTests {
  private let form = AOFForm.multiPart(directory: "appendonlydir", manifest: "m")
  private let set = command("SET", "k", "v")

  private func pinned(_ pin: Int, _ name: String, size: Int) -> PinnedFile {
    PinnedFile(
      pin: PinID(pin), name: name, size: UInt64(size),
      modified: FileMoment(seconds: 10, nanoseconds: 0),
      born: FileMoment(seconds: 1, nanoseconds: 0),
      identity: FileIdentity(inode: UInt64(pin), bornSeconds: 1, bornNanoseconds: 0))
  }
  private func view(_ increments: [Int], base: Int?, size: Int = 0) -> AOFSetView {
    AOFSetView(
      form: form,
      base: base.map { .init(file: pinned($0, "b\($0)", size: 50), sequence: Int64($0)) },
      increments: increments.map {
        .init(file: pinned($0, "i\($0)", size: size), sequence: Int64($0))
      }, manifestModified: nil)
  }
  private func base(_ number: Int) -> Snapshot.Base {
    Snapshot.Base(
      generation: generationID(UInt64(number)), file: "b\(number)", sequence: Int64(number))
  }
  /// Reads all of the last file and makes it durable.
  private func ship(_ chain: inout Chain, _ bytes: [UInt8]) {
    let last = chain.files.count - 1
    bytes.withUnsafeBytes { chain.files[last].consume($0, seenAt: at(1000)) }
    chain.files[last].ordinal = chain.files[last].ordinal ?? last + 1
    while let shipment = chain.files[last].nextShipment() {
      chain.files[last].noteSent(shipment)
      chain.files[last].acknowledge(upTo: shipment.to)
    }
  }

  @Test
  func `a chain awaits its BASE, is anchored, and is rebased once the log before it is durable`()
    throws
  {
    var chain = Chain(fresh: view([2], base: 1, size: set.count))
    guard case .awaiting = chain.base else { throw Unexpected(chain) }
    #expect(chain.anchor(on: base(1), pin: PinID(1)) == nil)
    guard case .anchored = chain.base else { throw Unexpected(chain) }
    #expect(chain.anchor?.pin == PinID(1) && chain.candidate == nil)

    chain.extend(with: view([2, 4], base: nil, size: set.count))
    chain.extend(with: view([4], base: 3, size: set.count))
    guard case .rebasing = chain.base else { throw Unexpected(chain) }
    #expect(chain.anchor(on: base(3), pin: PinID(3)) == nil)
    guard case .rebasing(let from, let to) = chain.base else { throw Unexpected(chain) }
    #expect(from.kind == .base(base(1)) && to.upload == .durable(base(3)))

    var first = Chain(form: form, files: [chain.files[0]], anchor: nil, candidate: nil)
    ship(&first, set)
    chain.files[0] = first.files[0]
    chain.moveToCandidate()
    guard case .anchored(let anchor) = chain.base else { throw Unexpected(chain) }
    #expect(anchor.kind == .base(base(3)) && chain.files.map(\.name) == ["i4"])
  }

  @Test
  func
    `a chain without BASE is its log, and a legacy log is one once its first content is durable`()
    throws
  {
    let whole = Chain(fresh: view([2], base: nil))
    #expect(whole.base == .anchored(.init(kind: .nothing, first: 0)))
    var legacy = Chain(
      fresh: AOFSetView(
        form: .legacy, base: nil,
        increments: [.init(file: pinned(2, "appendonly.aof", size: set.count), sequence: 0)],
        manifestModified: nil))
    legacy.anchorLegacyIfReady()
    #expect(legacy.base == .none)
    ship(&legacy, set)
    legacy.anchorLegacyIfReady()
    #expect(legacy.base == .anchored(.init(kind: .nothing, first: 0)))
  }

  @Test func `an illegal change leaves the state as it was, and says what it was`() {
    IllegalTransition.$traps.withValue(false) {
      var chain = Chain(fresh: view([2], base: 1))
      #expect(chain.refuseCandidate() == nil)
      let refused = chain.base
      #expect(chain.anchor(on: base(1), pin: PinID(1)) != nil && chain.base == refused)
      #expect(chain.refuseCandidate() != nil && chain.base == refused)
      #expect(chain.judge() != nil && chain.origin == .compared)

      var lane = Lane<Int>.idle
      #expect(lane.begin(1) == nil && lane.begin(2) != nil && lane.work == 1)

      var writing = Writing(
        claim: claim(1), comparison: Comparison(hasNews: true, hasPoint: false),
        view: CaptureView(at: at(0), dump: nil, aof: .absent), options: .init())
      writing.close(isProved: true)
      writing.slowDown()
      #expect(writing.pace == .closing(isProved: true))
      writing.recordDurable(span: nil, now: at(0))
      #expect(writing.fault?.reason == "a timeline that closes goes on", "the first is said")
    }
  }

  @Test func `a chain that follows nothing is read by nobody until it is judged, or never`() {
    var chain = Chain(anew: view([2], base: 1), isFirst: false)
    #expect(chain.anchor(on: base(1), pin: PinID(1)) == nil)
    #expect(chain.anchor != nil && chain.readableAnchor == nil)
    var left = chain
    left.leave()
    #expect(left.base == .none)
    #expect(chain.judge() == nil)
    #expect(chain.readableAnchor == chain.anchor)
    chain.leave()
    #expect(chain.anchor != nil, "what was judged stays readable")
    #expect(Chain(anew: view([2], base: 1), isFirst: true).origin == .judged)
  }

  @Test func `a chain that is left is drained, and then recorded as closed`() throws {
    var chains = Chains(followed: Chain(fresh: view([2], base: nil, size: set.count)), closed: nil)
    chains.assignOrdinals()
    chains.follow(
      Chain(anew: view([4], base: 3), isFirst: false), uploading: nil, lastMark: at(0))
    #expect(chains.draining.count == 1 && !chains.isReadable)
    let keys: (Chain) -> KeyBounds = { _ in .none }
    chains.settle(uploading: nil, named: [1], .first, keys: keys)
    #expect(chains.draining.count == 1 && chains.closed == nil, "it still has log")
    set.withUnsafeBytes { bytes in
      chains.withFile(PinID(2)) { $0.consume(bytes, seenAt: at(1000)) }
    }
    let shipment = try #require(chains.nextShipment(named: [1]))
    #expect(chains.nextShipment(named: []) == nil, "no snapshot names it")
    chains.withFile(PinID(2)) {
      $0.noteSent(shipment)
      $0.acknowledge(upTo: shipment.to)
    }
    chains.settle(uploading: nil, named: [1], .first, keys: keys)
    #expect(chains.draining.isEmpty)
    #expect(chains.closed?.chain.record.files.map(\.file) == ["i2"])
    #expect(chains.anchor(on: base(3), pin: PinID(3)) == nil && chains.judge() == nil)
    #expect(chains.isReadable && chains.closed == nil)
  }

  @Test
  func
    `a dump is news until these very bytes are durable, and its interval counts from its upload`()
  {
    let file = pinned(5, "dump.rdb", size: 10)
    var dump = DumpState(nil)
    #expect(dump.isNews(file) && dump.begun == nil)
    dump.begin(now: at(500))
    dump.store(
      DurableDump(
        record: .init(
          generation: generationID(5), file: "dump.rdb", contentAt: at(400), pinnedAt: nil),
        dataset: nil, file: file))
    #expect(!dump.isNews(file) && dump.begun == at(500))
    dump.resumeInterval()
    #expect(dump.begun == at(400))
    dump.differs()
    #expect(dump.isNews(file))
    dump.matches(file)
    #expect(!dump.isNews(file))
  }

  @Test func `a refused version is not read again, and another only once it stands still`() {
    func view(_ file: PinnedFile) -> CaptureView {
      CaptureView(at: at(0), dump: file, aof: .absent)
    }
    let (first, second) = (pinned(5, "dump.rdb", size: 10), pinned(5, "dump.rdb", size: 11))
    var versions = FileVersions()
    #expect(versions.isReady(first))
    versions.refuse(first)
    #expect(!versions.isReady(first) && !versions.isReady(second))
    versions.look(view(second), after: view(first))
    #expect(!versions.isReady(second))
    versions.look(view(second), after: view(second))
    #expect(versions.isReady(second))
  }

  private struct Unexpected: Error {
    var state: Chain.BaseState
    init(_ chain: Chain) { state = chain.base }
  }
}
