package import BackupTypes
import Glibc
package import ObjectStorage
import Synchronization

/// A store in memory, as strict as a real one. It counts requests, and has a clock if it is given one.
package final class MemoryStore: ObjectStore {
  package enum Operation: String, Sendable, Hashable, CaseIterable {
    case create, read, list, delete, now, prepare
  }

  private struct Object {
    var bytes: [UInt8]
    var modified: Instant
  }
  private struct State {
    var objects: [String: Object] = [:] {
      didSet { sorted = nil }
    }
    /// The sorted names; nil after an object was added or removed.
    var sorted: [String]?
    var requests: [Operation: Int] = [:]
    /// The time of the next object if there is no clock. It advances by a millisecond per object.
    var ticks: Int64 = 0

    mutating func sortedNames() -> [String] {
      if let sorted { return sorted }
      let made = objects.keys.sorted(by: precedes)
      sorted = made
      return made
    }
  }

  package let location: String
  private let clock: (@Sendable () -> Instant)?
  private let state = Mutex(State())

  /// - Parameter clock: the source of `now()` and of the objects' times. Without it, `now()` is nil.
  package init(
    location: String = "memory://test", clock: (@Sendable () -> Instant)? = nil
  ) {
    self.location = location
    self.clock = clock
  }

  package func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    _ = try ObjectName.components(name)
    let time = clock?()
    return state.withLock { state in
      state.requests[.create, default: 0] += 1
      guard state.objects[name] == nil else { return .exists }
      state.ticks += 1
      state.objects[name] = Object(
        bytes: bytes, modified: time ?? Instant(milliseconds: state.ticks))
      return .created
    }
  }

  package func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    _ = try ObjectName.components(name)
    let bytes = state.withLock { state in
      state.requests[.read, default: 0] += 1
      return state.objects[name]?.bytes
    }
    return try bytes.map { try checked($0, limit: limit, of: name) }
  }

  package func list(prefix: String, continuing: String?) async throws -> ListPage {
    state.withLock { state in
      state.requests[.list, default: 0] += 1
      let names = state.sortedNames()
      var entries: [ObjectEntry] = []
      for name in names[firstIndex(in: names, behind: continuing)...]
      where name.utf8.starts(with: prefix.utf8) {
        if entries.count == ListPage.entriesMax {
          return ListPage(entries: entries, next: entries.last?.name)
        }
        let object = state.objects[name]!
        entries.append(
          ObjectEntry(name: name, size: object.bytes.count, modified: object.modified))
      }
      return ListPage(entries: entries, next: nil)
    }
  }

  private func firstIndex(in names: [String], behind name: String?) -> Int {
    guard let name else { return 0 }
    var (low, high) = (0, names.count)
    while low < high {
      let middle = (low + high) / 2
      if precedes(name, names[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }

  package func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    var failures: [String: LifeboatError] = [:]
    for name in names {
      do throws(LifeboatError) {
        _ = try ObjectName.components(name)
      } catch {
        failures[name] = error
      }
    }
    state.withLock { state in
      state.requests[.delete, default: 0] += 1
      for name in names { state.objects[name] = nil }
    }
    return failures
  }

  package func now() async throws -> Instant? {
    state.withLock { $0.requests[.now, default: 0] += 1 }
    return clock?()
  }

  package func prepare() async throws {
    state.withLock { $0.requests[.prepare, default: 0] += 1 }
  }
}

// For tests. Not part of the protocol, and not counted.
extension MemoryStore {
  package func requests(_ operation: Operation) -> Int {
    state.withLock { $0.requests[operation] ?? 0 }
  }

  package var requestsTotal: Int { state.withLock { $0.requests.values.reduce(0, +) } }

  package func resetRequests() { state.withLock { $0.requests = [:] } }

  /// Every object's bytes, by name.
  package var contents: [String: [UInt8]] {
    state.withLock { $0.objects.mapValues(\.bytes) }
  }

  package var names: [String] {
    state.withLock { $0.sortedNames() }
  }

  package var count: Int { state.withLock { $0.objects.count } }

  /// Another store with the same objects and times.
  package func copy() -> MemoryStore {
    let made = MemoryStore(location: location, clock: clock)
    let objects = state.withLock { $0.objects }
    made.state.withLock { $0.objects = objects }
    return made
  }

  /// Stores the bytes even if the object exists, like damage or someone else's tool.
  package func overwrite(_ name: String, _ bytes: [UInt8]) {
    state.withLock { state in
      state.ticks += 1
      let time = state.objects[name]?.modified ?? Instant(milliseconds: state.ticks)
      state.objects[name] = Object(bytes: bytes, modified: time)
    }
  }

  /// Removes an object, like damage or a lifecycle rule.
  package func lose(_ name: String) {
    state.withLock { $0.objects[name] = nil }
  }
}

/// Compares UTF-8 bytes, as stores do.
private func precedes(_ a: String, _ b: String) -> Bool {
  let order = a.utf8.withContiguousStorageIfAvailable { a in
    b.utf8.withContiguousStorageIfAvailable { b in
      let size = min(a.count, b.count)
      let common = size == 0 ? 0 : memcmp(a.baseAddress!, b.baseAddress!, size)
      return common == 0 ? a.count < b.count : common < 0
    }
  }
  return (order ?? nil) ?? a.utf8.lexicographicallyPrecedes(b.utf8)
}

extension ObjectStore {
  /// Reads an object of any size that can be created.
  package func read(_ name: String) async throws -> [UInt8]? {
    try await read(name, limit: objectByteCountMax)
  }
}
