import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import Shipping
import SystemIO
import SystemPackage
import TestSupport
import Testing
import WriterLogic

/// An interrupted upload is continued, unless retention may already be deleting it.
@Suite struct UnfinishedUploadTests {
  private static let start = Instant(milliseconds: 1_700_000_000_000)

  @Test(arguments: [true, false])
  func `what was left unfinished is continued for some days only`(isOfParent: Bool) async throws {
    for days: Int64 in [0, 2, 4, 9] {
      let clock = VirtualClock(UnfinishedUploadTests.start)
      let made = try await MadeRepository(clock: { clock.now })
      try await made.addClaim(1, at: 0)
      try await made.addClaim(2, at: 1, parentSnapshots: 0)
      let claim = try await made.repository.claim(TimelineNumber(2)!)
      let folder = try TemporaryDirectory("upload")
      let bytes = VirtualRedis.dump(count: 7)
      try TestFiles.write(bytes, to: folder("dump.rdb"))
      let file = try OpenFile(reading: FilePath(folder("dump.rdb")))
      let frame = made.repository.frame
      let left = GenerationID(
        fingerprint: try await Fingerprint.of(file, size: UInt64(bytes.count), frame: frame),
        nonce: nonce(isOfParent ? 1 : 2))
      try await made.repository.createContent(
        bytes, .piece(left, number: 0, frame.digest(bytes).short), kind: .piece)
      clock.set(clock.now.advanced(byMilliseconds: days * RetentionPolicy.day))
      let uploader = GenerationUploader(
        repository: made.repository, claim: claim,
        settings: .init(readLimit: nil, time: SystemClock()),
        reusable: [:], unfinished: [nonce(1)]
      ) { _ in }
      let upload = try upload(claim, size: bytes.count)
      if days > 3, !isOfParent {
        #expect(
          await code { _ = try await uploader.upload(upload, file) } == .failure, "\(days) days")
        continue
      }
      let id = try await uploader.upload(upload, file).index.generation
      #expect(id.nonce == (days > 3 ? claim.nonce : left.nonce), "\(days) days")
      #expect(try await made.repository.history().catalogue.complete == [id])
    }
  }

  /// Timeline 1 uploaded a piece and was killed, timeline 2 was killed right after its claim. The third
  /// continues with the piece, as long as retention certainly keeps it.
  @Test(arguments: [(hours: 0, isContinued: true), (11, true), (13, false)])
  func `an upload is continued past a claim that uploaded nothing`(
    hours: Int64, isContinued: Bool
  ) async throws {
    let clock = VirtualClock(UnfinishedUploadTests.start)
    let made = try await MadeRepository(clock: { clock.now })
    try await made.addClaim(1, at: 0)
    let folder = try TemporaryDirectory("upload")
    let bytes = VirtualRedis.dump(count: 7)
    try TestFiles.write(bytes, to: folder("dump.rdb"))
    let file = try OpenFile(reading: FilePath(folder("dump.rdb")))
    let frame = made.repository.frame
    let left = GenerationID(
      fingerprint: try await Fingerprint.of(file, size: UInt64(bytes.count), frame: frame),
      nonce: nonce(1))
    try await made.repository.createContent(
      bytes, .piece(left, number: 0, frame.digest(bytes).short), kind: .piece)
    try await made.addClaim(2, at: 1, parentSnapshots: 0)
    let writers = try await made.repository.history().unfinishedWriters
    #expect(writers == [nonce(2), nonce(1)])
    try await made.addClaim(3, at: 2, parentSnapshots: 0)
    let claim = try await made.repository.claim(TimelineNumber(3)!)
    clock.set(clock.now.advanced(byMilliseconds: hours * 3_600_000))
    let uploader = GenerationUploader(
      repository: made.repository, claim: claim,
      settings: .init(readLimit: nil, time: SystemClock()), reusable: [:], unfinished: writers
    ) { _ in }
    let id = try await uploader.upload(try upload(claim, size: bytes.count), file).index.generation
    #expect(id.fingerprint == left.fingerprint)
    #expect(id.nonce == (isContinued ? left.nonce : claim.nonce))
    // Nobody continues a complete upload.
    let next = try await made.repository.history().unfinishedWriters
    #expect(next == (isContinued ? [claim.nonce] : [claim.nonce, nonce(1)]))
  }

  /// A piece that is empty or has other bytes is written again. Its name alone proves nothing.
  @Test(arguments: [true, false])
  func `what is continued is compared with what it should be`(isEmptied: Bool) async throws {
    let clock = VirtualClock(UnfinishedUploadTests.start)
    let made = try await MadeRepository(clock: { clock.now })
    try await made.addClaim(1, at: 0)
    try await made.addClaim(2, at: 1, parentSnapshots: 0)
    let claim = try await made.repository.claim(TimelineNumber(2)!)
    let folder = try TemporaryDirectory("upload")
    let bytes = VirtualRedis.dump(count: 7)
    try TestFiles.write(bytes, to: folder("dump.rdb"))
    let file = try OpenFile(reading: FilePath(folder("dump.rdb")))
    let frame = made.repository.frame
    let left = GenerationID(
      fingerprint: try await Fingerprint.of(file, size: UInt64(bytes.count), frame: frame),
      nonce: nonce(1))
    let name = ObjectPath.piece(left, number: 0, frame.digest(bytes).short)
    if isEmptied {
      _ = try await made.repository.store.create(name.text, [])
    } else {
      try await made.repository.createContent(Array(bytes.dropLast()) + [0], name, kind: .piece)
    }
    let uploader = GenerationUploader(
      repository: made.repository, claim: claim,
      settings: .init(readLimit: nil, time: SystemClock()), reusable: [:],
      unfinished: [nonce(1)]
    ) { _ in }
    let index = try await uploader.upload(try upload(claim, size: bytes.count), file).index
    #expect(index.generation == left, "it is continued")
    try await GenerationStream(repository: made.repository, index: index).run { _ in }
    // A complete generation is not reused if one of its pieces is now empty.
    _ = try await made.repository.store.delete([name.text])
    _ = try await made.repository.store.create(name.text, [])
    let again = GenerationUploader(
      repository: made.repository, claim: claim,
      settings: .init(readLimit: nil, time: SystemClock()),
      reusable: [left.fingerprint: left], unfinished: []
    ) { _ in }
    let other = try await again.upload(try upload(claim, size: bytes.count), file).index
    #expect(other.generation != left)
    try await GenerationStream(repository: made.repository, index: other).run { _ in }
  }

  /// The upload that a plan requests for a dump.
  private func upload(_ claim: Claim, size: Int) throws -> GenerationUpload {
    let dump = PinnedFile(
      pin: PinID(1), name: "dump.rdb", size: UInt64(size),
      modified: FileMoment(seconds: 1_700_000_000, nanoseconds: 0), born: nil,
      identity: FileIdentity(inode: 1, bornSeconds: 1, bornNanoseconds: 0))
    var plan = Writing(
      claim: claim, comparison: Comparison(hasNews: true, hasPoint: false),
      view: CaptureView(at: UnfinishedUploadTests.start, dump: dump, aof: .absent),
      options: .init())
    for action in plan.actions(now: UnfinishedUploadTests.start) {
      if case .uploadGeneration(let upload) = action { return upload }
    }
    throw HarnessError("nothing is uploaded")
  }
}
