/// Which groups of keys have the most bytes, in bounded memory whatever the data (Space-Saving: Metwally,
/// Agrawal and El Abbadi, 2005). It is exact as long as there are no more groups than counters. After that,
/// the group with the fewest bytes gives its counter to a new group, which may have had a counter before. A
/// reported number is therefore never too high, and too low by at most `error`, which is at most a
/// `countersMax`-th of all bytes.
struct PrefixCounts: Sendable {
  static let countersMax = 1024

  struct Count: Sendable, Equatable {
    var prefix: [UInt8]
    var keys: UInt64 = 0
    var elements: UInt64 = 0
    var bytes: UInt64 = 0
  }

  private struct Counter: Sendable {
    /// What was counted since the group got this counter.
    var count: Count
    /// The value of the counter when it was taken over.
    var inherited: UInt64
    var weight: UInt64 { count.bytes + inherited }
  }

  private var counters: [Counter] = []
  private var places: [[UInt8]: Int] = [:]
  /// Counters by their number, the one with the least weight first; and where each stands.
  private var heap: [Int] = []
  private var heapPlaces: [Int] = []
  private var isExact = true

  /// By how many bytes a group may be too low, which is also the most that an unreported group may have.
  var error: UInt64 { isExact ? 0 : heap.first.map { counters[$0].weight } ?? 0 }

  /// Those with the most bytes first.
  func greatest(_ count: Int) -> [Count] {
    Array(counters.map(\.count).sorted { $0.bytes > $1.bytes }.prefix(count))
  }

  mutating func add(_ prefix: [UInt8], elements: UInt64, bytes: UInt64) {
    let number: Int
    if let known = places[prefix] {
      number = known
    } else if counters.count < PrefixCounts.countersMax {
      number = counters.count
      counters.append(Counter(count: Count(prefix: prefix), inherited: 0))
      places[prefix] = number
      heap.append(number)
      heapPlaces.append(number)
      rise(heap.count - 1)
    } else {
      isExact = false
      number = heap[0]
      places[counters[number].count.prefix] = nil
      places[prefix] = number
      counters[number] = Counter(
        count: Count(prefix: prefix), inherited: counters[number].weight)
    }
    counters[number].count.keys += 1
    counters[number].count.elements &+= elements
    counters[number].count.bytes &+= bytes
    sink(heapPlaces[number])
  }

  private func weight(_ place: Int) -> UInt64 { counters[heap[place]].weight }

  private mutating func swap(_ one: Int, _ other: Int) {
    heap.swapAt(one, other)
    heapPlaces[heap[one]] = one
    heapPlaces[heap[other]] = other
  }

  private mutating func rise(_ place: Int) {
    var place = place
    while place > 0, weight(place) < weight((place - 1) / 2) {
      swap(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  private mutating func sink(_ place: Int) {
    var place = place
    while true {
      var least = place
      if 2 * place + 1 < heap.count, weight(2 * place + 1) < weight(least) { least = 2 * place + 1 }
      if 2 * place + 2 < heap.count, weight(2 * place + 2) < weight(least) { least = 2 * place + 2 }
      guard least != place else { return }
      swap(place, least)
      place = least
    }
  }
}
