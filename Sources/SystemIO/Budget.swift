/// A number of bytes that several tasks share. Who asks first gets first: a large request is not overtaken
/// for ever by small ones.
package struct Budget: Sendable {
  package let capacity: Int
  package private(set) var held = 0
  /// Bounded by the number of tasks that may ask.
  private var waiting: [(id: Int, bytes: Int)] = []

  package init(capacity: Int) { self.capacity = capacity }

  package var isWaitedFor: Bool { !waiting.isEmpty }

  /// Returns whether the bytes are granted now. Otherwise they are by a later `giveBack` or `withdraw`.
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

  /// Returns who is granted bytes by it.
  package mutating func giveBack(_ bytes: Int) -> [Int] {
    precondition((0...held).contains(bytes), "\(bytes) bytes of \(held)")
    held -= bytes
    return grant()
  }

  /// Takes back a request that waits. Returns who is granted bytes by it: the next ones may be smaller.
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
