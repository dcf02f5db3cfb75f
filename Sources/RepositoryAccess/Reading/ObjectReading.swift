package import BackupFormat
package import BackupTypes
import ObjectStorage

/// The result of reading one listed object.
package enum ObjectReading: Sendable {
  case content(Frame.Opened)
  /// It no longer exists.
  case gone
  /// It is not what was written under its name, for this reason.
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
      guard let found = try await store.read(name.text) else { return .gone }
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
  /// Why, as far as it is said, in one phrase.
  package var reason: String { code == .versionMismatch ? message : cause ?? message }
}

/// Reads several things at a time and passes them on in their order.
package struct ReadAhead {
  /// Objects of up to 4 MiB, each with its content, read and not yet handed on.
  package static let width = 3

  package static func run<Item: Sendable, Value: Sendable>(
    _ items: [Item], read: @escaping @Sendable (Item) async throws -> Value,
    take: (Item, Value) throws -> Void
  ) async throws {
    try await withThrowingTaskGroup(of: (Int, Value).self) { group in
      var waiting: [Int: Value] = [:]
      var started = 0
      var next = 0
      while next < items.count {
        while started < min(next + width, items.count) {
          let (number, item) = (started, items[started])
          group.addTask { (number, try await read(item)) }
          started += 1
        }
        if let value = waiting.removeValue(forKey: next) {
          try take(items[next], value)
          next += 1
        } else if let (number, value) = try await group.next() {
          waiting[number] = value
        }
      }
    }
  }
}
