import Auditing
import BackupFormat
import BackupTypes
import SystemIO
import Testing

/// Only what the store has acknowledged counts, in order and without a gap.
@Suite struct AcknowledgementsTests {
  private let timeline = TimelineNumber(3)!
  private let nonce = Nonce(bytes: [UInt8](repeating: 7, count: Nonce.byteCount))!
  private let identity = FileIdentity(inode: 11, bornSeconds: 1, bornNanoseconds: 0)

  private var claim: Claim {
    Claim(
      timeline: timeline, nonce: nonce, repository: nonce, source: "s", instance: "i",
      directory: "d", claimedAt: Instant(seconds: 1), writer: "w", parent: nil, fork: nil, end: nil,
      suspicion: nil)
  }

  private func span(_ from: UInt64, _ to: UInt64) -> ObjectPath {
    .log(
      timeline, ordinal: 1,
      LogSpan(
        from: from, to: to, mark: Instant(seconds: 1),
        digest: ShortDigest(bytes: [UInt8](repeating: 1, count: ShortDigest.byteCount))!))
  }

  private func generation(_ byte: UInt8) -> GenerationID {
    GenerationID(
      fingerprint: ShortDigest(bytes: [UInt8](repeating: byte, count: ShortDigest.byteCount))!,
      nonce: nonce)
  }

  private func snapshot(
    _ segments: [Snapshot.Segment], base: GenerationID, primary: Snapshot.Primary? = .aof,
    nonce: Nonce? = nil
  ) -> Snapshot {
    Snapshot(
      timeline: timeline, sequence: 1, nonce: nonce ?? self.nonce, at: Instant(seconds: 2),
      cause: .claim, primary: primary,
      chain: .init(
        form: .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"),
        base: .init(generation: base, file: "base", sequence: 1),
        files: [.init(file: "incr", sequence: 1, segments: segments, identity: identity)]),
      dump: nil, detached: nil, isClean: false, destructive: nil)
  }

  private let version = FileVersion(
    identity: FileIdentity(inode: 10, bornSeconds: 1, bornNanoseconds: 0), size: 5,
    modified: .init(seconds: 1, nanoseconds: 0), changed: .init(seconds: 1, nanoseconds: 0))

  @Test func `a file is durable up to the first gap of its acknowledged log`() {
    let list = Acknowledgements(time: SystemClock())
    list.claimed(claim)
    list.stored(
      snapshot([.init(timeline: timeline, ordinal: 1, from: 0, to: nil)], base: generation(1)))
    list.stored(span(0, 100))
    list.stored(span(100, 150))
    list.stored(span(200, 300))
    #expect(list.confirmed?.chain?.files[identity] == 150)
    list.stored(span(150, 200))
    list.stored(span(200, 300))
    #expect(list.confirmed?.chain?.files[identity] == 300)
  }

  @Test func `a base counts once its index is acknowledged, in the version that was read`() {
    let list = Acknowledgements(time: SystemClock())
    list.claimed(claim)
    list.stored(snapshot([], base: generation(1)))
    list.matched(version, generation(1))
    #expect(list.confirmed?.chain?.base?.versions == [])
    list.stored(.index(generation(1)))
    #expect(list.confirmed?.chain?.base?.versions == [version])
    list.matched(version, generation(2))
    #expect(list.confirmed?.chain?.base?.versions == [])
  }

  @Test func `a snapshot without a restore point, or of another writer, confirms nothing`() {
    let list = Acknowledgements(time: SystemClock())
    list.claimed(claim)
    list.stored(snapshot([], base: generation(1), primary: nil))
    #expect(list.confirmed == Confirmed())
    let other = Nonce(bytes: [UInt8](repeating: 9, count: Nonce.byteCount))!
    list.stored(snapshot([], base: generation(1), nonce: other))
    #expect(list.confirmed == Confirmed())
  }

  @Test func `what earlier timelines hold was compared, and what is ours has to be acknowledged`() {
    let list = Acknowledgements(time: SystemClock())
    list.claimed(claim)
    let parent = TimelineNumber(2)!
    list.stored(
      snapshot(
        [
          .init(timeline: parent, ordinal: 4, from: 0, to: 1000),
          .init(timeline: timeline, ordinal: 1, from: 1000, to: nil),
        ], base: generation(1)))
    #expect(list.confirmed?.chain?.files[identity] == 1000)
    list.stored(span(1000, 1200))
    #expect(list.confirmed?.chain?.files[identity] == 1200)
  }

  @Test func `log that was acknowledged under an earlier claim does not count under the next`() {
    let list = Acknowledgements(time: SystemClock())
    let open = snapshot(
      [.init(timeline: timeline, ordinal: 1, from: 0, to: nil)], base: generation(1))
    for bytes in [100, 40] as [UInt64] {
      list.claimed(claim)
      list.stored(open)
      list.stored(span(0, bytes))
      #expect(list.confirmed?.chain?.files[identity] == bytes)
    }
  }

  @Test func `a new claim, and a loss, begin with nothing`() {
    let list = Acknowledgements(time: SystemClock())
    list.claimed(claim)
    list.stored(
      snapshot([.init(timeline: timeline, ordinal: 1, from: 0, to: nil)], base: generation(1)))
    list.stored(span(0, 100))
    list.forget()
    #expect(list.confirmed == nil)
    list.claimed(claim)
    #expect(list.confirmed == Confirmed())
  }
}
