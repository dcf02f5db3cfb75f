import HistoryLogic
import Testing

/// How an interrupted commit is recovered, for all combinations of the places of two names.
@Suite struct CommitRecoveryTests {
  typealias Place = CommitRecovery.Place

  /// All possible places of one name. Each name is moved aside, moved in, or both.
  private static func places(_ name: String) -> [Place] {
    var all: [Place] = []
    for (isMovedAside, isMovedIn) in [(true, true), (true, false), (false, true)] {
      for live in Place.Live.allCases where isMovedAside || live != .asFound {
        for aside in Place.Stored.allCases where isMovedAside || aside == .absent {
          for staged in Place.Stored.allCases where isMovedIn || staged == .absent {
            if !isMovedIn && live == .asStaged { continue }
            all.append(
              Place(
                name: name, isMovedAside: isMovedAside, isMovedIn: isMovedIn, live: live,
                aside: aside, staged: staged))
          }
        }
      }
    }
    return all
  }

  @Test func `what was written since is never renamed, whatever is asked`() {
    for one in Self.places("a") {
      for other in Self.places("b") {
        for wish in [CommitRecovery.Wish.same, .anyState, .another] {
          let decided = CommitRecovery.decide([one, other], wish: wish, replacesData: true)
          if one.live == .other || other.live == .other {
            guard case .leave(let changed) = decided else {
              Issue.record("\(one), \(other), \(wish): \(decided)")
              return
            }
            #expect(changed.isEmpty == false)
          }
          switch decided {
          // Everything that is still to be moved in is intact, and only known files are in its way.
          case .finish:
            for place in [one, other] where place.isMovedIn {
              #expect(place.live == .asStaged || place.staged == .intact, "\(place)")
            }
          // All old files can be moved back.
          case .undo:
            for place in [one, other] where place.isMovedAside {
              #expect(place.live == .asFound || place.aside == .intact, "\(place)")
            }
          case .leave: break
          }
        }
      }
    }
  }

  private func place(
    _ name: String, live: Place.Live, aside: Place.Stored = .absent, staged: Place.Stored,
    isMovedAside: Bool = true
  ) -> Place {
    Place(
      name: name, isMovedAside: isMovedAside, isMovedIn: true, live: live, aside: aside,
      staged: staged)
  }

  @Test func `the same is finished, another is undone, and nothing is begun for --if-empty`() {
    func decide(_ places: [Place], _ wish: CommitRecovery.Wish, data: Bool) -> CommitRecovery {
      CommitRecovery.decide(places, wish: wish, replacesData: data)
    }
    let untouched = [place("a", live: .asFound, staged: .intact)]
    let begun = [
      place("a", live: .absent, aside: .intact, staged: .intact),
      place("b", live: .asFound, staged: .intact),
    ]
    let fresh = [place("a", live: .absent, staged: .intact, isMovedAside: false)]
    for places in [untouched, begun, fresh] {
      #expect(decide(places, .same, data: true) == .finish)
      #expect(decide(places, .another, data: true) == .undo)
    }
    #expect(decide(untouched, .anyState, data: true) == .undo)
    #expect(decide(untouched, .anyState, data: false) == .finish)
    #expect(decide(begun, .anyState, data: true) == .finish)
    #expect(decide(fresh, .anyState, data: false) == .finish)
  }

  @Test func `what can't go one way goes the other, or stays`() {
    // The staged file is damaged.
    let damaged = [place("a", live: .absent, aside: .intact, staged: .other)]
    #expect(CommitRecovery.decide(damaged, wish: .same, replacesData: true) == .undo)
    // The file that was moved aside is gone, and the staged one is in place.
    let gone = [place("a", live: .asStaged, staged: .absent)]
    #expect(CommitRecovery.decide(gone, wish: .another, replacesData: true) == .finish)
    // Both problems.
    let both = [place("a", live: .asStaged, staged: .absent), damaged[0]].map { place in
      var place = place
      if place.live == .asStaged { place.aside = .absent }
      return place
    }
    #expect(
      CommitRecovery.decide(both, wish: .same, replacesData: true) == .leave(changed: []))
    // Somebody removed the old file.
    let removed = [place("a", live: .absent, staged: .intact)]
    #expect(
      CommitRecovery.decide(removed, wish: .same, replacesData: true) == .leave(changed: ["a"]))
  }
}
