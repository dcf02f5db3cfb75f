import RedisFormats
import TestSupport
import Testing

/// What an observer of a walk receives: every key once, and every field and member of the keys that it wants.
struct RDBKeyObserverTests {
  private struct Listener: RDBKeyObserver, Equatable {
    var keys: [RDBKeyFacts] = []
    var strings: [String: [UInt8]] = [:]
    var elements: [String: [[UInt8]: UInt64]] = [:]
    var unnamed: [String: UInt64] = [:]
    private var key = ""

    mutating func begin(_ name: [UInt8], database: Int, type: String) -> Bool {
      key = "\(database)/" + String(decoding: name, as: UTF8.self)
      return true
    }
    mutating func take(string: [UInt8]) { strings[key] = string }
    mutating func take(element: [UInt8]?, valueBytes: UInt64) {
      guard let element else { return take(unnamed: 1) }
      elements[key, default: [:]].updateValue(valueBytes, forKey: element)
    }
    mutating func take(unnamed: UInt64) { self.unnamed[key, default: 0] += unnamed }
    mutating func end(_ key: RDBKeyFacts) { keys.append(key) }
  }

  private func listen(_ file: [UInt8], cutAt cuts: [Int] = []) -> (Listener, RDBWalker) {
    var walker = RDBWalker(observer: Listener())
    var start = 0
    for end in cuts.sorted() + [file.count] where end > start {
      file[start..<end].withUnsafeBytes { _ = walker.consume($0) }
      start = end
    }
    _ = walker.finish()
    return (walker.observer as! Listener, walker)
  }

  @Test(arguments: ["redis-6.2.5", "redis-7.0.15", "redis-8.2.3", "valkey-9.1.2"], ["", "-plain"])
  func `every key of every encoding is told, with what it holds`(server: String, variant: String)
    throws
  {
    let (heard, walker) = listen(try fixture(server + variant + ".rdb"))
    let summary = walker.summary
    #expect(heard.keys.count == Int(summary.keys))
    #expect(heard.keys.reduce(0) { $0 + $1.elements } == summary.elements)
    #expect(heard.keys.count { $0.expiresAt != nil } == Int(summary.expires))
    for (number, database) in summary.databases {
      for (type, kind) in database.types {
        let those = heard.keys.filter { $0.database == number && $0.type == type }
        #expect(those.count == Int(kind.keys))
        #expect(those.reduce(0) { $0 + $1.bytes } == kind.bytes)
        #expect(those.map(\.bytes).max() == kind.largest)
      }
    }
    for key in heard.keys where ["hash", "set", "zset"].contains(key.type) {
      let name = "\(key.database)/" + String(decoding: key.name, as: UTF8.self)
      let told = UInt64(heard.elements[name]?.count ?? 0) + (heard.unnamed[name] ?? 0)
      #expect(told == key.elements, "\(name)")
    }
    #expect(heard.unnamed.isEmpty, "\(heard.unnamed)")
    #expect(
      heard.strings.count == heard.keys.count { $0.type == "string" }
        && Set(heard.elements.keys).count
          == heard.keys.count { ["hash", "set", "zset"].contains($0.type) }
    )
  }

  @Test func `what is told does not depend on the pieces`() throws {
    let file = try fixture("redis-8.2.3.rdb")
    let (whole, _) = listen(file)
    var generator = SeededRandom(seed: 5)
    for _ in 0..<20 {
      let (cut, _) = listen(file, cutAt: randomCuts(file.count, using: &generator))
      #expect(cut == whole)
    }
    #expect(listen(file, cutAt: Array(1..<file.count)).0 == whole)
  }

  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func `an observed walk of any bytes ends as one that is not`(_ seed: UInt64) throws {
    var generator = SeededRandom(seed: seed)
    let name = ["redis-6.2.5-plain", "redis-7.0.15", "redis-8.2.3", "valkey-9.1.2"][Int(seed) - 1]
    let source = Array(try fixture(name + ".rdb"))
    for round in 0..<300 {
      let input = mutated(source, using: &generator)
      let plain = walk(input).walker
      let (heard, observed) = listen(input, cutAt: randomCuts(input.count, using: &generator))
      // With an observer, strings are read that are otherwise skipped, so more damage is found.
      if case .malformed = observed.state { continue }
      #expect(observed.state == plain.state, "seed \(seed), round \(round)")
      #expect(observed.summary == plain.summary, "seed \(seed), round \(round)")
      #expect(heard.keys.count == Int(observed.summary.keys), "seed \(seed), round \(round)")
    }
  }
}
