import TestSupport
import Testing

@testable import ReplicationLink

struct ByteWindowTests {
  /// Compares it with an array that keeps everything.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func itHoldsWhatItSays(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var all: [UInt8] = []
    var window = ByteWindow(at: 0)
    for _ in 0..<2000 {
      switch Int.random(in: 0..<10, using: &random) {
      case 0: window.drop(below: UInt64(Int.random(in: 0...all.count, using: &random)))
      case 1 where Int.random(in: 0..<20, using: &random) == 0:
        let end = Int.random(in: 0...all.count, using: &random)
        all.removeLast(all.count - end)
        window.cut(to: UInt64(end))
      default:
        let count = Int.random(in: 0..<3000, using: &random)
        let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        all += bytes
        bytes.withUnsafeBytes { window.append($0) }
      }
      #expect(window.end == UInt64(all.count) && window.start <= window.end)
      let from = Int.random(in: 0...all.count, using: &random)
      let to = Int.random(in: from...all.count, using: &random)
      let found = window.bytes(from: UInt64(from), to: UInt64(to))
      if UInt64(from) >= window.start {
        #expect(found == Array(all[from..<to]))
      } else {
        #expect(found == nil)
      }
    }
  }
}
