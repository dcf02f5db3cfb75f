import HistoryLogic
import RedisFormats
import TestSupport
import Testing

@Suite struct KeyCensusTests {
  private func key(
    _ name: String, _ bytes: UInt64, elements: UInt64 = 0, type: String = "string"
  ) -> RDBKeyFacts {
    RDBKeyFacts(
      name: Array(name.utf8), database: 0, type: type, elements: elements, bytes: bytes,
      expiresAt: nil)
  }
  private func text(_ name: [UInt8]) -> String { String(decoding: name, as: UTF8.self) }

  @Test func `the largest keys are those of a sorted list, whatever the order`() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededRandom(seed: seed)
    for _ in 0..<50 {
      var census = KeyCensus()
      let keys = (0..<generator.int(0...200)).map {
        key("key \($0)", UInt64(generator.int(1...500)))
      }
      for key in keys { census.add(key) }
      let expected = keys.map(\.bytes).sorted(by: >).prefix(KeyCensus.shownMax)
      #expect(census.largest.map(\.bytes) == Array(expected), "seed \(seed)")
      #expect(census.largest.allSatisfy { keys.contains($0) }, "seed \(seed)")
    }
  }

  @Test func `a name belongs to what stands before its first delimiter`() {
    var census = KeyCensus()
    for name in [
      "user:1:name", "user:2", "RAYa-b@KV", "RAYa-b@JOB", "a/b:c", "a/c", "dot.ted", "pi|pe",
      "none",
      "no_ne-2", ":empty", String(repeating: "x", count: 200) + ":late",
    ] {
      census.add(key(name, 10, elements: 2, type: "hash"))
    }
    var counts: [String: UInt64] = [:]
    for prefix in census.prefixes {
      counts[text(prefix.prefix)] = prefix.keys
      #expect(prefix.bytes == 10 * prefix.keys && prefix.elements == 2 * prefix.keys)
    }
    #expect(
      counts == ["user:": 2, "RAYa-b@": 2, "a/": 2, "dot.": 1, "pi|": 1, "": 3, ":": 1])
    #expect(census.prefixError == 0)
  }

  /// Far more prefixes than counters, and a few of them are large. The large ones are found, and each count
  /// is too low by at most the reported error.
  @Test(arguments: 0..<8) func `of very many prefixes the great ones are told`(_ round: Int) {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededRandom(seed: seed)
    var census = KeyCensus()
    var (bytes, keys): ([String: UInt64], [String: UInt64]) = ([:], [:])
    for index in 0..<60_000 {
      let prefix =
        switch index % 10 {
        case 0: "large-\(generator.int(0...4)):"
        case 1: "middle-\(generator.int(0...60)):"
        default: "user-\(generator.int(0...40_000)):"
        }
      let size = UInt64(generator.int(1...100))
      bytes[prefix, default: 0] += size
      keys[prefix, default: 0] += 1
      census.add(key(prefix + "\(index)", size))
    }
    let total = bytes.values.reduce(0, +)
    #expect(census.prefixError > 0 && census.prefixError <= total / 1024, "seed \(seed)")
    for one in census.prefixes {
      let real = bytes[text(one.prefix)] ?? 0
      #expect(one.bytes <= real && real <= one.bytes + census.prefixError, "seed \(seed)")
      #expect(one.keys <= keys[text(one.prefix)] ?? 0, "seed \(seed)")
    }
    let told = Set(census.prefixes.map { text($0.prefix) })
    for number in 0...4 { #expect(told.contains("large-\(number):"), "seed \(seed)") }
    let least = census.prefixes.map(\.bytes).min() ?? 0
    for (prefix, size) in bytes where !told.contains(prefix) {
      #expect(size <= least + census.prefixError, "seed \(seed): \(prefix)")
    }
  }
}
