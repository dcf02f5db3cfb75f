/// A number of bytes that several tasks share. Requests are granted in order, so small requests can't delay a
/// large one for ever.
package struct Budget: Sendable {
  package let capacity: Int
  package private(set) var held = 0
  /// Bounded by the number of tasks that may make requests.
  private var waiting: [(id: Int, bytes: Int)] = []

  package init(capacity: Int) { self.capacity = capacity }

  package var isWaitedFor: Bool { !waiting.isEmpty }

  /// Returns whether the bytes are granted now. Otherwise a later `giveBack` or `withdraw` grants them.
  /// - Parameter bytes: at most `capacity`.
  package mutating func request(_ bytes: Int, by id: Int) -> Bool {
    precondition((0...capacity).contains(bytes), "\(bytes) bytes of \(capacity)")
    guard waiting.isEmpty, bytes <= capacity - held else {
      waiting.append((id, bytes))
      return false
    }
    held += bytes
    return true
  }

  /// Returns the requests that are now granted.
  package mutating func giveBack(_ bytes: Int) -> [Int] {
    precondition((0...held).contains(bytes), "\(bytes) bytes of \(held)")
    held -= bytes
    return grant()
  }

  /// Withdraws a waiting request. Returns the requests that are now granted, since the next ones may be
  /// smaller.
  package mutating func withdraw(_ id: Int) -> [Int] {
    waiting.removeAll { $0.id == id }
    return grant()
  }

  private mutating func grant() -> [Int] {
    var granted: [Int] = []
    while let next = waiting.first, next.bytes <= capacity - held {
      held += next.bytes
      granted.append(next.id)
      waiting.removeFirst()
    }
    return granted
  }
}
