import RedisFormats
import TestSupport
import Testing

/// Hostile bytes must not cause a trap or break an invariant. A run can be repeated with its seed.
struct FuzzTests {
  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func theWalkerIsTotal(_ seed: UInt64) throws {
    var generator = SeededRandom(seed: seed)
    let name = ["redis-6.2.5-lfu", "redis-7.0.15", "redis-8.2.3", "valkey-9.1.2"][Int(seed) - 1]
    let sources = [vector, Array(try fixture(name + ".rdb").prefix(6000))]
    for round in 0..<5000 {
      var input = mutated(sources[round % 8 == 0 ? 1 : 0], using: &generator)
      if round % 3 == 0 {
        let noise = (0..<64).map { _ in UInt8.random(in: 0...255, using: &generator) }
        input = bytes(round % 2 == 0 ? "REDIS0012" : "VALKEY080") + noise
      }
      let whole = walk(input)
      let (cut, used) = walk(input, cutAt: randomCuts(input.count, using: &generator))
      #expect(cut.state == whole.walker.state, "seed \(seed), round \(round)")
      #expect(cut.summary == whole.walker.summary, "seed \(seed), round \(round)")
      #expect(used == whole.used)
      #expect(used <= input.count)
      switch cut.state {
      case .walking: Issue.record("seed \(seed), round \(round): still walking at the end")
      case .ended(let end): #expect(end == UInt64(used))
      case .malformed(let fault), .unknown(let fault): #expect(fault.offset <= UInt64(input.count))
      }
    }
  }

  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func theScannerIsTotal(_ seed: UInt64) {
    var generator = SeededRandom(seed: seed)
    var source = bytes("#TS:1\r\n") + command("SET", "a", "b") + command("MULTI")
    source += command("FLUSHALL") + command("EXEC") + bytes("#TS:2\n") + command("INCR", "x")
    let alphabet = bytes("*$#\r\n0123456789TS:MULTIEXEC\0")
    for round in 0..<5000 {
      var input = mutated(round % 4 == 0 ? vector + source : source, using: &generator)
      if round % 3 == 0 {
        input = (0..<40).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
      }
      var whole = scan(input)
      var cut = scan(input, cutAt: randomCuts(input.count, using: &generator))
      #expect(cut.fault == whole.fault, "seed \(seed), round \(round)")
      #expect(cut.boundary == whole.boundary, "seed \(seed), round \(round)")
      #expect(cut.offset == whole.offset, "seed \(seed), round \(round)")
      #expect(cut.boundary <= cut.offset)
      #expect(cut.offset <= UInt64(input.count))
      #expect(cut.commands == whole.commands)
      let findings = cut.takeFindings()
      #expect(findings == whole.takeFindings())
      #expect(findings.allSatisfy { $0.start < $0.end && $0.end <= cut.boundary })
      // The part before the boundary is valid by itself.
      let prefix = scan(Array(input.prefix(Int(cut.boundary))))
      #expect(prefix.fault == nil)
      #expect(prefix.boundary == cut.boundary)
    }
  }

  @Test(arguments: [1, 2] as [UInt64])
  func manifestAndConfigurationAreTotal(_ seed: UInt64) {
    var generator = SeededRandom(seed: seed)
    let source = bytes(
      "file \"a\\x41 b\" seq 1 type b\nfile 'c' seq 2 type i\ndir x\nappendonly yes\n")
    let alphabet = bytes("file seq type b\n\"'\\x41 \0#1/i\r\t") + [0xff, 0xc3]
    for round in 0..<10_000 {
      var input = mutated(source, using: &generator)
      if round % 2 == 0 {
        input = (0..<30).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
      }
      if let manifest = try? AOFManifest(parsing: input) {
        let again = try? AOFManifest(parsing: manifest.encoded())
        let kept = manifest.entries.filter { $0.kind != .history }
        #expect(kept.isEmpty || again?.entries == kept, "seed \(seed), round \(round)")
      }
      _ = try? RedisConfiguration(parsing: input)
    }
  }
}
