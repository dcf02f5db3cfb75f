import BackupFormat
import BackupTypes
import Testing

@testable import WriterLogic

struct PinsInForceTests {
  private let repository = Nonce(bytes: [UInt8](repeating: 1, count: Nonce.byteCount))!

  private func pin(_ id: String, _ origin: Pin.Origin, until: Int64 = 1000) -> Pin {
    Pin(
      id: id, repository: repository, origin: origin, reason: "empty",
      at: Instant(milliseconds: 0), until: Instant(milliseconds: until), timeline: .first,
      snapshot: 1, position: nil)
  }

  @Test func `a start that may be an accident is suspect until its pin is let go`() {
    var pins = PinsInForce([pin("start", .start), pin("flush", .drop)])
    #expect(pins.isSuspect)
    pins.settle(released: ["another"], now: Instant(milliseconds: 0))
    #expect(pins.isSuspect && pins.count == 2)
    pins.settle(released: ["start", "another"], now: Instant(milliseconds: 0))
    #expect(!pins.isSuspect && pins.count == 1)
  }

  @Test func `of a drop nobody is asked: somebody gave the command`() {
    var pins = PinsInForce()
    #expect(pins.add(pin("flush", .drop)).isEmpty)
    #expect(!pins.isSuspect && pins.contains("flush"))
    pins.settle(released: ["flush"], now: Instant(milliseconds: 0))
    #expect(!pins.isSuspect && pins.count == 0 && !pins.contains("flush"))
  }

  @Test func `a pin that has run out is no longer in force`() {
    var pins = PinsInForce([pin("early", .start, until: 10), pin("late", .drop, until: 11)])
    pins.settle(released: [], now: Instant(milliseconds: 10))
    #expect(!pins.isSuspect && pins.count == 1)
  }

  @Test func `too many drops let the oldest go, and never a start`() {
    var pins = PinsInForce([pin("start", .start)])
    for number in 0..<ShrinkGuard.pinsMax { #expect(pins.add(pin("\(number)", .drop)).isEmpty) }
    #expect(pins.add(pin("next", .drop)) == ["0"])
    #expect(pins.count == ShrinkGuard.pinsMax + 1)
    pins.settle(released: ["start", "next"], now: Instant(milliseconds: 0))
    #expect(!pins.isSuspect && pins.count == ShrinkGuard.pinsMax - 1)
  }

  @Test func `a pin that a person named is not the guard's`() {
    var named = (0..<20).map { pin("\($0)", .drop) }
    for index in named.indices { named[index].name = "before-\(index)" }
    var pins = PinsInForce(named)
    #expect(pins.count == 0 && !pins.contains("1"))
    for number in 0..<ShrinkGuard.pinsMax { #expect(pins.add(pin("p\(number)", .drop)).isEmpty) }
    #expect(pins.add(pin("next", .drop)) == ["p0"])
  }

  @Test(arguments: [
    ("before-migration", true), ("a", true), ("a" + String(repeating: "9", count: 40), true),
    ("a" + String(repeating: "9", count: 41), false), ("", false), ("1a", false), ("-a", false),
    ("A", false), ("a_b", false), ("a b", false), ("a\u{301}", false), ("3.12", false),
  ])
  func `names are plain words`(name: String, isName: Bool) {
    #expect(Pin.isName(name) == isName)
    let id = Pin.id(named: name, at: Instant(milliseconds: 1_700_000_000_000))
    #expect(Pin.name(inID: id) == (isName ? name : nil))
    #expect(!isName || ObjectPath("ops/pins/" + id) != nil)
  }

  @Test(arguments: ["s1700000000000-1-2", "p1700000000000-1-2-0", "n-a", "n17-a", "x", ""])
  func `other ids hold no name`(id: String) {
    #expect(Pin.name(inID: id) == nil)
  }
}
