package import RedisFormats

/// The values of some keys, by our own reading of a dump or BASE and of the log after it. Commands are
/// followed if they need only their arguments. If any other command names a key, the key is dropped, so the
/// remaining values are certain.
package struct KeyModel: Sendable {
  package struct Place: Hashable, Sendable {
    package var database: Int
    package var name: [UInt8]
    package init(database: Int, name: [UInt8]) {
      self.database = database
      self.name = name
    }
  }
  package struct State: Sendable, Equatable {
    /// Nil: the key was removed.
    package var value: RedisValue?
    /// Unix milliseconds.
    package var expiresAt: Int64?
    package init(value: RedisValue?, expiresAt: Int64? = nil) {
      self.value = value
      self.expiresAt = expiresAt
    }
  }

  /// Values that grow beyond this are dropped.
  static let valueBytesMax = 64 << 10
  /// For all values together: beyond this fewer keys are followed.
  private static let bytesMax = 12 << 20

  package private(set) var sampling: KeySampling
  package private(set) var states: [Place: State] = [:]
  /// There was a command that may have changed anything.
  package private(set) var isLost = false
  private let countMax: Int
  private var database = 0
  /// Names that were dropped, in every database.
  private var unknown: Set<[UInt8]> = []
  private var bytes = 0

  package init(_ sampling: KeySampling, countMax: Int) {
    self.sampling = sampling
    self.countMax = countMax
  }

  // MARK: A full copy

  /// A key of the dump or BASE. A nil value was not read.
  package mutating func load(_ place: Place, _ state: State) {
    guard state.value != nil else { return giveUp(place.name) }
    set(place, state)
  }

  /// The walk chooses fewer keys from now on, with this sampling.
  package mutating func narrow(to other: KeySampling) {
    sampling = other
    drop()
  }

  // MARK: The log

  /// The next command of the log.
  package mutating func apply(_ arguments: [[UInt8]?], isWhole: Bool) {
    guard !isLost, let name = arguments.first, let name else { return }
    let command = String(decoding: name, as: UTF8.self).uppercased()
    switch command {
    case "SELECT":
      guard arguments.count == 2, let number = arguments[1].flatMap(integer) else { return lose() }
      database = Int(truncatingIfNeeded: number)
    case "MULTI", "EXEC", "PING", "PUBLISH", "SPUBLISH", "SCRIPT": break
    case "FLUSHALL": for place in states.keys { set(place, State(value: nil)) }
    case "FLUSHDB":
      for place in states.keys where place.database == database { set(place, State(value: nil)) }
    case "SWAPDB", "EVAL", "EVALSHA", "FCALL": lose()
    case "DEL", "UNLINK": remove(arguments.dropFirst(), isWhole)
    case "MSET": setMany(arguments.dropFirst(), isWhole)
    default: change(command, arguments, isWhole)
    }
    if states.count + unknown.count > countMax || bytes > KeyModel.bytesMax {
      while states.count + unknown.count > countMax || bytes > KeyModel.bytesMax {
        sampling.halve()
        drop()
      }
    }
  }

  private mutating func lose() {
    isLost = true
    states = [:]
  }

  private mutating func drop() {
    states = states.filter { sampling.includes($0.key.name) }
    unknown = unknown.filter { sampling.includes($0) }
    bytes = states.values.reduce(0) { $0 + ($1.value?.byteCount ?? 0) }
  }

  private mutating func remove(_ names: ArraySlice<[UInt8]?>, _ isWhole: Bool) {
    guard isWhole else { return lose() }
    for name in names.compactMap({ $0 }) where sampling.includes(name) {
      set(Place(database: database, name: name), State(value: nil))
    }
  }

  private mutating func setMany(_ pairs: ArraySlice<[UInt8]?>, _ isWhole: Bool) {
    guard isWhole, pairs.count % 2 == 0 else { return lose() }
    for index in stride(from: pairs.startIndex, to: pairs.endIndex, by: 2) {
      guard let name = pairs[index], sampling.includes(name) else { continue }
      guard let value = pairs[index + 1] else {
        giveUp(name)
        continue
      }
      set(Place(database: database, name: name), State(value: .string(value)))
    }
  }

  /// Follows a command whose first argument is its key, or handles one that is not followed and may name any
  /// key.
  private mutating func change(_ command: String, _ arguments: [[UInt8]?], _ isWhole: Bool) {
    guard let follow = KeyChange.commands[command] else {
      guard isWhole else { return lose() }
      for name in arguments.dropFirst().compactMap({ $0 }) where sampling.includes(name) {
        giveUp(name)
      }
      return
    }
    guard arguments.count > 1, let name = arguments[1], sampling.includes(name) else { return }
    guard !unknown.contains(name) else { return }
    let place = Place(database: database, name: name)
    let rest = arguments.dropFirst(2).compactMap { $0 }
    var state = states[place] ?? State(value: nil)
    guard isWhole, rest.count == arguments.count - 2, follow(rest, &state) else {
      return giveUp(name)
    }
    set(place, state)
  }

  private mutating func set(_ place: Place, _ state: State) {
    guard sampling.includes(place.name), !unknown.contains(place.name) else { return }
    let size = state.value?.byteCount ?? 0
    guard size <= KeyModel.valueBytesMax else { return giveUp(place.name) }
    bytes += size - (states[place]?.value?.byteCount ?? 0)
    states[place] = state.value == nil ? State(value: nil) : state
  }

  private mutating func giveUp(_ name: [UInt8]) {
    guard unknown.insert(name).inserted else { return }
    for place in states.keys where place.name == name {
      bytes -= states[place]?.value?.byteCount ?? 0
      states[place] = nil
    }
  }

  private func integer(_ bytes: [UInt8]) -> Int64? { Int64(String(decoding: bytes, as: UTF8.self)) }
}
