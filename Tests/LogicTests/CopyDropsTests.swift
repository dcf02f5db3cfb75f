import BackupFormat
import BackupTypes
import HistoryLogic
import Testing

@Suite struct CopyDropsTests {
  private func copy(_ at: Int64, keys: UInt64, elements: UInt64) -> CopyDrops.Copy {
    let dataset = DatasetRecord(
      server: nil, rdbVersion: 10, isValkey: false,
      databases: [
        .init(
          number: 0, keys: keys, expires: 0,
          types: ["hash": .init(keys: keys, elements: elements, bytes: 1)])
      ], functions: 0)
    return CopyDrops.Copy(at: Instant(seconds: at), dataset: dataset, point: "1.\(at)")
  }

  @Test func `half of the keys or of the elements gone between two copies is told`() {
    let copies = [
      copy(10, keys: 7, elements: 1000), copy(20, keys: 7, elements: 500),
      copy(30, keys: 7, elements: 249), copy(40, keys: 3, elements: 240),
      copy(50, keys: 2, elements: 240), copy(60, keys: 0, elements: 0),
    ]
    let found = CopyDrops.find(copies, known: [])
    #expect(found.map(\.before.point) == ["1.20", "1.30", "1.50"])
    #expect(found.map(\.after.point) == ["1.30", "1.40", "1.60"])
  }

  @Test func `what is told of by the log is not told again`() {
    let copies = [copy(10, keys: 50, elements: 1000), copy(20, keys: 1, elements: 1)]
    for (second, count) in [(Int64(9), 1), (10, 0), (15, 0), (21, 0), (22, 1)] {
      #expect(CopyDrops.find(copies, known: [Instant(seconds: second)]).count == count)
    }
  }

  @Test func `next to nothing is none`() {
    #expect(
      CopyDrops.find([copy(1, keys: 1, elements: 31), copy(2, keys: 0, elements: 0)], known: [])
        == [])
    #expect(CopyDrops.find([copy(1, keys: 1, elements: 32)], known: []) == [])
    #expect(CopyDrops.find([], known: []) == [])
  }
}
