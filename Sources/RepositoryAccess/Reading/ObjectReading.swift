package import BackupFormat
package import BackupTypes
import ObjectStorage

/// The result of reading one listed object.
package enum ObjectReading: Sendable {
  case content(Frame.Opened)
  /// It no longer exists.
  case gone
  /// Its content is not what was written under its name, for this reason.
  case damaged(String)
}

extension Repository {
  /// Reads and opens one object. Throws only errors of the store itself. A problem with the object is part
  /// of the result.
  package func reading(
    _ name: ObjectPath, kind: ObjectKind, limit: Int, frame: Frame? = nil,
    progress: @Sendable (UInt64) -> Void
  ) async throws -> ObjectReading {
    let object: [UInt8]
    do {
      guard
        let found = try await store.read(name.text, limit: Frame.objectBytesMax(content: limit))
      else { return .gone }
      object = found
    } catch let error as LifeboatError where error.code == .corrupt {
      return .damaged(error.reason)  // a store that finds its own copy damaged
    }
    progress(UInt64(object.count))
    do {
      return .content(
        try (frame ?? self.frame).open(object, kind: kind, name: name, limit: limit))
    } catch let error as LifeboatError {
      return .damaged(error.reason)
    }
  }
}

extension LifeboatError {
  /// The reason in one phrase, as far as it is known.
  package var reason: String { code == .versionMismatch ? message : cause ?? message }
}

/// Reads several things at a time and passes them on in their order.
package struct ReadAhead {
  /// - Parameters:
  ///   - cost: the memory that an item needs from when it is read until it was passed on. Without it, that of
  ///     the largest object and its content is assumed.
  ///   - budget: the memory that all items may need together. A single item may exceed it.
  package static func run<Item: Sendable, Value: Sendable>(
    _ items: [Item], cost: (Item) -> Int = { _ in 2 * MemoryBound.objectBytes },
    within budget: Int = MemoryBound.current.readAheadBytes,
    read: @escaping @Sendable (Item) async throws -> Value,
    take: (Item, Value) async throws -> Void
  ) async throws {
    let transfers = MemoryBound.current.transfers
    try await withThrowingTaskGroup(of: (Int, Value).self) { group in
      var waiting: [Int: Value] = [:]
      var held = 0
      var started = 0
      var next = 0
      while next < items.count {
        while started < min(next + transfers, items.count),
          started == next || held + cost(items[started]) <= budget
        {
          let (number, item) = (started, items[started])
          group.addTask { (number, try await read(item)) }
          held += cost(item)
          started += 1
        }
        if let value = waiting.removeValue(forKey: next) {
          try await take(items[next], value)
          held -= cost(items[next])
          next += 1
        } else if let (number, value) = try await group.next() {
          waiting[number] = value
        }
      }
    }
  }
}
