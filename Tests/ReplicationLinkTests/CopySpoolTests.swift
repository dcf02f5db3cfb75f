import BackupTypes
import SystemIO
import SystemPackage
import TestSupport
import Testing
import WriterLogic

@testable import ReplicationLink

/// A full copy that arrives faster than the store accepts it.
@Suite(.timeLimit(.minutes(5))) struct CopySpoolTests {
  /// A storage that fails once it has taken `takes` bytes.
  private final class Failing: CopyStorage {
    let bytesMax: UInt64 = 1 << 30
    private let spool: CopySpool
    private let takes: UInt64
    init(_ spool: CopySpool, after takes: UInt64) { (self.spool, self.takes) = (spool, takes) }
    func write(_ bytes: [UInt8], at position: UInt64) throws(LifeboatError) {
      guard position < takes else { throw LifeboatError(.noRoom, "no room") }
      try spool.write(bytes, at: position)
    }
    func read(_ count: Int, at position: UInt64) throws(LifeboatError) -> [UInt8] {
      try spool.read(count, at: position)
    }
  }

  private let bell = WaitPoint()
  private func base() -> LinkBase {
    let state = LinkState()
    let file = PinnedFile(
      pin: state.nextPin(), name: "base", size: 1,
      modified: FileMoment(Instant(milliseconds: 1_700_000_000_000)), born: nil,
      identity: state.nextIdentity())
    return LinkBase(file, sequence: 1, name: state.nextName(), stored: nil, receiver: bell)
  }
  private static func content(_ count: Int) -> [UInt8] {
    var random = SeededRandom(seed: 7)
    // This size does not divide any other one, so a byte in a wrong place is detected.
    let block = (0..<65_537).map { _ in UInt8.random(in: 0...255, using: &random) }
    var content: [UInt8] = []
    while content.count < count { content += block.prefix(count - content.count) }
    return content
  }
  private static let chunk = 50_000

  private func read(_ base: LinkBase, _ content: [UInt8], in portion: Int) async throws {
    var read: [UInt8] = []
    while read.count < content.count {
      read += try await base.read(from: UInt64(read.count), to: UInt64(read.count + portion))
    }
    #expect(read == content)
    #expect(base.size == UInt64(content.count) && base.isComplete && !base.isLost)
  }

  /// All of it is accepted while nobody reads, so the server's child process can exit.
  @Test func theServerDoesNotWait() async throws {
    let directory = try TemporaryDirectory()
    let base = base()
    let content = Self.content(12 << 20)
    base.begin(try CopySpool(in: FilePath(directory.path)))
    for start in stride(from: 0, to: content.count, by: Self.chunk) {
      try #require(!base.isFull, "at \(start)")
      try base.append(Array(content[start..<min(start + Self.chunk, content.count)]))
    }
    base.end()
    #expect(TestFiles.list(directory.path).isEmpty, "the spool has no name")
    try await read(base, content, in: 4 << 20)
  }

  @Test func withoutASpoolTheServerWaits() throws {
    let base = base()
    base.begin(nil)
    try base.append([UInt8](repeating: 1, count: LinkBase.bufferBytes))
    #expect(base.isFull)
  }

  /// A spool that is smaller than the copy is reused again and again. What does not fit has to wait.
  @Test(arguments: [1000, 70_000, 4 << 20]) func aSmallSpoolIsABound(portion: Int) async throws {
    let directory = try TemporaryDirectory()
    let base = base()
    let content = Self.content(40 << 20)
    base.begin(try CopySpool(in: FilePath(directory.path), bytesMax: CopySpool.least + 12_345))
    let receiver = Task.detached {
      for start in stride(from: 0, to: content.count, by: Self.chunk) {
        while base.isFull { await Task.yield() }
        try base.append(Array(content[start..<min(start + Self.chunk, content.count)]))
      }
      base.end()
    }
    try await read(base, content, in: portion)
    try await receiver.value
  }

  /// With a full volume, nothing is lost. From then on the server waits.
  @Test(arguments: [0, 3 << 20]) func aFullVolume(takes: UInt64) async throws {
    let directory = try TemporaryDirectory()
    let base = base()
    let content = Self.content(8 << 20)
    base.begin(Failing(try CopySpool(in: FilePath(directory.path)), after: takes))
    let receiver = Task.detached {
      var failures = 0
      for start in stride(from: 0, to: content.count, by: Self.chunk) {
        while base.isFull { await Task.yield() }
        do { try base.append(Array(content[start..<min(start + Self.chunk, content.count)])) } catch
        {
          failures += 1
        }
      }
      base.end()
      return failures
    }
    try await read(base, content, in: 1 << 20)
    #expect(await receiver.value == 1)
  }

  @Test func aDirectoryThatCanNotBeUsed() throws {
    #expect(throws: LifeboatError.self) { try CopySpool(in: "/nonexistent/spool") }
    let directory = try TemporaryDirectory()
    let error = try #require(throws: LifeboatError.self) {
      try CopySpool(in: FilePath(directory.path), bytesMax: 1)
    }
    #expect(error.code == .noRoom)
  }
}
