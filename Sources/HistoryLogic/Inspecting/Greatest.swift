/// Keeps a bounded number of values: those with the greatest weights of all that were offered. It is a binary
/// heap, whose first value has the least weight.
struct Greatest<Value: Sendable>: Sendable {
  private let countMax: Int
  private var heap: [(weight: UInt64, value: Value)] = []

  init(countMax: Int) { self.countMax = countMax }

  /// The greatest first; of equal weights in any order.
  var sorted: [(weight: UInt64, value: Value)] { heap.sorted { $0.weight > $1.weight } }
  var values: [Value] { heap.map(\.value) }

  mutating func offer(_ weight: UInt64, _ value: @autoclosure () -> Value) {
    if heap.count < countMax {
      heap.append((weight, value()))
      var index = heap.count - 1
      while index > 0, heap[index].weight < heap[(index - 1) / 2].weight {
        heap.swapAt(index, (index - 1) / 2)
        index = (index - 1) / 2
      }
    } else if countMax > 0, weight > heap[0].weight {
      heap[0] = (weight, value())
      sink()
    }
  }

  private mutating func sink() {
    var index = 0
    while true {
      var least = index
      for child in [2 * index + 1, 2 * index + 2] where child < heap.count {
        if heap[child].weight < heap[least].weight { least = child }
      }
      guard least != index else { return }
      heap.swapAt(index, least)
      index = least
    }
  }
}
