import BackupFormat
import BackupTypes
import Codec
import RepositoryAccess
import Synchronization
import SystemIO
import TestSupport
import Testing

@testable import Shipping
@testable import WriterLogic

/// A dump that somebody copies into place or overwrites while it is being read.
@Suite struct GrowingFileTests {
  private func upload(_ file: ChangingFile) async throws -> (
    MadeRepository, Result<Void, any Error>
  ) {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    let uploader = GenerationUploader(
      repository: made.repository, claim: try await made.repository.claim(.first),
      settings: .init(readLimit: nil, computing: nil, time: SystemClock()), reusable: [:],
      unfinished: [], progress: { _ in })
    let version = try await file.version()
    let pinned = PinnedFile(
      pin: PinID(1), name: file.name, size: version.size, modified: version.modified, born: nil,
      identity: version.identity, changed: version.changed)
    do {
      _ = try await uploader.upload(
        GenerationUpload(kind: .dump, file: pinned, sequence: 0), file)
      return (made, .success(()))
    } catch { return (made, .failure(error)) }
  }

  @Test func `one that stands still is uploaded`() async throws {
    let (made, result) = try await upload(ChangingFile(changes: .nothing))
    try result.get()
    #expect(made.store.names.contains { $0.hasSuffix("/index") })
  }

  @Test(arguments: [ChangingFile.Change.grows, .isOverwritten, .isCutOff])
  func `one that changes meanwhile makes no restore point`(change: ChangingFile.Change) async throws
  {
    let (_, result) = try await upload(ChangingFile(changes: change))
    let error = #expect(throws: (any Error).self) { try result.get() }
    let words = String(describing: try #require(error))
    #expect(words.contains("while it was read"), "\(change): \(words)")
  }
}

/// A dump with one key that changes after it was read to its end.
final class ChangingFile: SourceFile {
  enum Change: Sendable { case nothing, grows, isOverwritten, isCutOff }

  let name = "dump.rdb"
  private let change: Change
  private let state: Mutex<(bytes: [UInt8], reads: Int, modified: Int64)>

  init(changes change: Change) {
    self.change = change
    let text = Array("REDIS0011".utf8) + [0xfe, 0, 0xfb, 1, 0, 0, 1, 0x6b, 1, 0x76, 0xff]
    state = Mutex((text + [UInt8](repeating: 0, count: 8), 0, 1))
  }

  func version() async throws(LifeboatError) -> FileVersion {
    state.withLock { state in
      FileVersion(
        identity: FileIdentity(inode: 1, bornSeconds: 1, bornNanoseconds: 0),
        size: UInt64(state.bytes.count),
        modified: FileMoment(seconds: state.modified, nanoseconds: 0),
        changed: FileMoment(seconds: state.modified, nanoseconds: 0))
    }
  }

  func read(from: UInt64, to: UInt64) async throws(LifeboatError) -> [UInt8] {
    state.withLock { state in
      let end = min(Int(to), state.bytes.count)
      let bytes = Array(state.bytes[min(Int(from), end)..<end])
      state.reads += 1
      guard state.reads == 1 else { return bytes }
      switch change {
      case .nothing: return bytes
      case .grows: state.bytes += [1]
      case .isOverwritten: state.bytes[18] = 0x77
      case .isCutOff: state.bytes.removeLast(4)
      }
      state.modified += 1
      return bytes
    }
  }

  func adviseSequential() {}
  func dropCache(upTo end: UInt64) {}
  func confirm(upTo offset: UInt64) async {}
}
