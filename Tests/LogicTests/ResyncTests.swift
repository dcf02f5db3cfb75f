import Testing

@testable import WriterLogic

/// Which part of a primary's history is requested, as a table of servers' replies.
struct ResyncTests {
  private let ours = Resync.Held(id: "a", base: 100, offset: 900)

  private func decide(
    _ id: String, at offset: UInt64, was former: (String, UInt64)? = nil,
    held: Resync.Held? = Resync.Held(id: "a", base: 100, offset: 900)
  ) -> Resync {
    Resync.decide(held, .init(id: id, offset: offset, former: former.map { ($0.0, $0.1) }))
  }

  @Test func theSameHistoryGoesOnAtTheNextByte() {
    #expect(decide("a", at: 1000) == .partial(id: "a", after: 900))
    #expect(decide("a", at: 900) == .partial(id: "a", after: 900))
  }

  @Test func whoIsBehindOrEqualAtAPromotionGoesOn() {
    // second_repl_offset is the first byte that the former history does not share.
    #expect(decide("b", at: 1000, was: ("a", 951)) == .partial(id: "a", after: 900))
    #expect(decide("b", at: 1000, was: ("a", 901)) == .partial(id: "a", after: 900))
  }

  @Test func whoIsAheadForksAtTheLastSharedByte() {
    #expect(decide("b", at: 880, was: ("a", 851)) == .fork(id: "a", after: 850))
    // Also after the new primary's own offset has passed ours.
    #expect(decide("b", at: 5000, was: ("a", 900)) == .fork(id: "a", after: 899))
    #expect(decide("b", at: 5000, was: ("a", 101)) == .fork(id: "a", after: 100))
  }

  @Test func anotherHistoryIsNeverAskedForWithOurOffset() {
    for primary in [
      decide("b", at: 5000), decide("b", at: 5000, was: ("c", 951)),
      // It shares nothing with us after our full copy.
      decide("b", at: 5000, was: ("a", 100)), decide("b", at: 5000, was: ("a", 0)),
      // A primary that has less of its own history than we do.
      decide("a", at: 899), decide("b", at: 1, held: nil),
    ] {
      guard case .full = primary else {
        Issue.record("\(primary)")
        continue
      }
    }
  }

  @Test func aServerThatIsNotReadyIsNotAsked() {
    var primary = Resync.Primary(id: "a", offset: 1000)
    primary.isLoading = true
    guard case .notNow = Resync.decide(ours, primary) else {
      Issue.record("it is asked while it loads")
      return
    }
    primary.isLoading = false
    primary.isCutOff = true
    guard case .notNow = Resync.decide(nil, primary) else {
      Issue.record("it is asked while its own link is down")
      return
    }
  }
}
