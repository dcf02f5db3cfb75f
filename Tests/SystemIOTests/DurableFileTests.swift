import BackupTypes
import SystemIO
import SystemPackage
import Testing

@Suite struct DurableFileTests {
  let scratch: Scratch
  init() throws { scratch = try Scratch() }

  private func create(_ name: String, _ bytes: [UInt8]) throws(LifeboatError) -> Bool {
    try DurableFile.createExclusively(name, in: scratch.directory, bytes: bytes, mode: 0o640)
  }

  @Test func createsOnceAndNeverTouchesWhatIsThere() throws {
    #expect(try create("f", [1]))
    #expect(try !create("f", [2, 3]))
    #expect(try scratch.directory.open("f")?.readAll(limit: 9) == [1])
    #expect(try scratch.directory.status(of: "f")?.links == 1)
    #expect(try scratch.names == ["f"])
  }

  @Test func neverReplacesALinkOrADirectory() throws {
    try scratch.directory.makeDirectory("d", mode: 0o700)
    #expect(try !create("d", [1]))
    #expect(try scratch.directory.status(of: "d")?.kind == .directory)
    #expect(try scratch.names == ["d"])
  }

  @Test func replacesWhole() throws {
    for text in ["first", "", "a longer third"] {
      try scratch.write("f", text)
      #expect(try scratch.read("f") == text)
      #expect(try scratch.names == ["f"])
    }
  }

  @Test func oneOfManyRacingCreatorsWins() async throws {
    for round in 0..<20 {
      let winners = try await withThrowingTaskGroup(of: UInt8?.self) { group in
        for writer: UInt8 in 0..<8 {
          group.addTask { [scratch] in
            let bytes = [UInt8](repeating: writer, count: 1000)
            let isNew = try DurableFile.createExclusively(
              "f\(round)", in: scratch.directory, bytes: bytes, mode: 0o600)
            return isNew ? writer : nil
          }
        }
        return try await group.reduce(into: [UInt8]()) { $0 += $1.map { [$0] } ?? [] }
      }
      #expect(winners.count == 1)
      let content = try scratch.directory.open("f\(round)")?.readAll(limit: 9999)
      #expect(content == [UInt8](repeating: winners[0], count: 1000))
    }
    #expect(try scratch.names.count == 20)
  }

  @Test func aDirectoryThatIsGoneIsAnErrorAndLeavesNothing() throws {
    try scratch.directory.makeDirectory("d", mode: 0o700)
    let inner = try #require(try scratch.directory.openDirectory("d"))
    try scratch.directory.removeDirectory("d")
    #expect(
      failure { () throws(LifeboatError) in
        try DurableFile.createExclusively("f", in: inner, bytes: [1], mode: 0o600)
      } != nil)
  }

  @Test func spaceIsTold() throws {
    let space = try FileSystemSpace.at(scratch.path)
    #expect(space.freeBytes > 0 && space.freeBytes <= space.totalBytes)
    #expect(try FileSystemSpace.at(scratch.path("..")).identifier == space.identifier)
    #expect(try !FileSystemSpace.at("/proc").isNetworkOrFuse)
    #expect(failure { () throws(LifeboatError) in try FileSystemSpace.at("/no/such") } != nil)
    var fuse = space
    fuse.magic = 0x6573_5546
    #expect(fuse.isNetworkOrFuse)
  }
}
