package import BackupTypes
package import ObjectStorage
import Synchronization

/// A store in memory, as strict as a real one, that counts requests and has a clock if given one.
package final class MemoryStore: ObjectStore {
  package enum Operation: String, Sendable, Hashable, CaseIterable {
    case create, read, list, delete, now, prepare
  }

  private struct Object {
    var bytes: [UInt8]
    var modified: Instant
  }
  private struct State {
    var objects: [String: Object] = [:]
    var requests: [Operation: Int] = [:]
    /// Stamps objects when there is no clock: a millisecond for each.
    var ticks: Int64 = 0
  }

  package let location: String
  private let clock: (@Sendable () -> Instant)?
  private let state = Mutex(State())

  /// - Parameter clock: what `now()` and the objects' times say; without it `now()` is nil.
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

  package func read(_ name: String) async throws -> [UInt8]? {
    _ = try ObjectName.components(name)
    return state.withLock { state in
      state.requests[.read, default: 0] += 1
      return state.objects[name]?.bytes
    }
  }

  package func list(prefix: String, continuing: String?) async throws -> ListPage {
    state.withLock { state in
      state.requests[.list, default: 0] += 1
      let matching = state.objects.filter { name, _ in
        name.utf8.starts(with: prefix.utf8)
          && (continuing.map { $0.utf8.lexicographicallyPrecedes(name.utf8) } ?? true)
      }
      let sorted = matching.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      let entries = sorted.prefix(ListPage.entriesMax).map { name, object in
        ObjectEntry(name: name, size: object.bytes.count, modified: object.modified)
      }
      return ListPage(
        entries: entries, next: entries.count < sorted.count ? entries.last?.name : nil)
    }
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

// For tests, outside the protocol and not counted.
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
    contents.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Puts bytes there whatever was there before: damage, or someone else's tool.
  package func overwrite(_ name: String, _ bytes: [UInt8]) {
    state.withLock { state in
      state.ticks += 1
      let time = state.objects[name]?.modified ?? Instant(milliseconds: state.ticks)
      state.objects[name] = Object(bytes: bytes, modified: time)
    }
  }

  /// Takes an object away: damage, or a lifecycle rule.
  package func lose(_ name: String) {
    state.withLock { $0.objects[name] = nil }
  }
}
