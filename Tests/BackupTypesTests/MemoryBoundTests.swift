import BackupTypes
import Testing

@Suite struct MemoryBoundTests {
  @Test(arguments: [52, 56, 64, 96, 128, 512, 4096, 1 << 20])
  func `everything fits into the bound`(mebibytes: Int) {
    let bound = MemoryBound(bytes: mebibytes << 20)
    #expect(bound.objectsBytes + MemoryBound.reservedBytes <= bound.bytes)
    // A piece of a continued upload, and one that is decrypted.
    #expect(4 * MemoryBound.objectBytes <= bound.objectsBytes)
    #expect((1...MemoryBound.transfersMax).contains(bound.transfers))
    #expect(bound.transfers * bound.transferBytes <= bound.objectsBytes)
    #expect(bound.readAheadBytes >= 2 * MemoryBound.objectBytes)
  }

  @Test func `more memory never allows less`() {
    var last = MemoryBound(bytes: MemoryBound.least)
    for mebibytes in stride(from: 52, through: 2048, by: 8) {
      let bound = MemoryBound(bytes: mebibytes << 20)
      #expect(bound.transfers >= last.transfers)
      #expect(bound.readAheadBytes >= last.readAheadBytes)
      last = bound
    }
    #expect(last.transfers == MemoryBound.transfersMax)
  }

  @Test(arguments: [0, 1, 400, 60 << 10, 1 << 20, 2 << 20, 3 << 20, 4 << 20])
  func `an object is held at no more than twice its size`(count: Int) {
    var large = [UInt8](repeating: 7, count: count)
    large.reserveCapacity(MemoryBound.objectBytes)
    let held = heldAtOwnSize(large)
    #expect(held == large)
    #expect(held.capacity <= max(2 * count + 4096, MemoryBound.objectBytes / 4))
    #expect(heldAtOwnSize(held).capacity == held.capacity)
  }
}
