import BackupFormat
import BackupTypes
import RedisFormats
import TestSupport
import Testing

@testable import WriterLogic

/// What is shipped of a file that ends inside a command or that became shorter, and of the files after it.
@Suite struct TornLogTests {
  private let set = command("SET", "k", "v")

  private func pinned(_ pin: Int, size: Int) -> PinnedFile {
    PinnedFile(
      pin: PinID(pin), name: "i\(pin)", size: UInt64(size),
      modified: FileMoment(seconds: 10, nanoseconds: 0),
      born: FileMoment(seconds: 1, nanoseconds: 0),
      identity: FileIdentity(inode: UInt64(pin), bornSeconds: 1, bornNanoseconds: 0))
  }
  private func view(_ increments: [Int], size: Int) -> AOFSetView {
    AOFSetView(
      form: .multiPart(directory: "appendonlydir", manifest: "m"), base: nil,
      increments: increments.map { .init(file: pinned($0, size: size), sequence: Int64($0)) },
      manifestModified: nil)
  }
  private func followed(size: Int) -> FollowedFile {
    var file = FollowedFile(
      file: pinned(2, size: size), sequence: 2, inherited: [], start: 0, hasContentBefore: true)
    file.ordinal = 1
    return file
  }
  private func read(_ bytes: some Sequence<UInt8>, _ file: inout FollowedFile) {
    Array(bytes).withUnsafeBytes { file.consume($0, seenAt: at(1000)) }
  }
  private func ship(_ file: inout FollowedFile) {
    while let shipment = file.nextShipment() {
      file.noteSent(shipment)
      file.acknowledge(upTo: shipment.to)
    }
  }

  @Test func `a file that is shorter than what was shipped of it is cut back`() {
    var file = followed(size: 2 * set.count)
    read(set + set, &file)
    ship(&file)
    #expect(file.durable == UInt64(2 * set.count))
    file.observe(size: UInt64(2 * set.count), modified: at(20_000))
    #expect(!file.isCutBack)
    file.observe(size: UInt64(2 * set.count - 1), modified: at(30_000))
    #expect(file.isCutBack)
  }

  @Test func `a part of a command that was never shipped may go`() {
    var file = followed(size: set.count + 5)
    read(set + set.prefix(5), &file)
    ship(&file)
    file.observe(size: UInt64(set.count), modified: at(20_000))
    #expect(!file.isCutBack && file.size == UInt64(set.count))
  }

  @Test func `a command is shipped once it is complete`() throws {
    var file = followed(size: set.count)
    read(set.prefix(5), &file)
    #expect(file.nextShipment() == nil)
    read(set.dropFirst(5), &file)
    let shipment = try #require(file.nextShipment())
    #expect(shipment.from == 0 && shipment.to == UInt64(set.count))
  }

  @Test func `a snapshot lists a file once the log before it is durable`() {
    var chain = Chain(fresh: view([2], size: set.count))
    chain.extend(with: view([2, 4], size: set.count))
    chain.files[0].ordinal = 1
    #expect(chain.listable.map(\.name) == ["i2"])
    read(set, &chain.files[0])
    #expect(chain.listable.map(\.name) == ["i2"], "it is read, and not durable")
    ship(&chain.files[0])
    #expect(chain.listable.map(\.name) == ["i2", "i4"])
  }

  @Test(arguments: [0, 1])
  func `a chain ends at a file that ends inside a command`(missing: Int) {
    let size = set.count - missing
    var chain = Chain(fresh: view([2], size: size))
    chain.extend(with: view([2, 4], size: size))
    read(set.prefix(size), &chain.files[0])
    var chains = Chains(followed: chain, closed: nil)
    let torn = chains.divideAtTornFile(uploading: nil, lastMark: at(0))
    #expect(torn?.name == (missing == 0 ? nil : "i2"))
    #expect(chains.followed?.files.map(\.name) == (missing == 0 ? ["i2", "i4"] : ["i4"]))
    #expect(chains.draining.map { $0.chain.files.map(\.name) } == (missing == 0 ? [] : [["i2"]]))
  }
}
