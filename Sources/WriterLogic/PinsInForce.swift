package import BackupFormat
package import BackupTypes

/// The shrink guard's pins that nobody has released yet, as far as a shipper knows.
package struct PinsInForce: Sendable, Equatable {
  /// The oldest first.
  private var pins: [Pin]

  /// Pins that a person named are left out: they are not the guard's, and don't count among its ten.
  package init(_ pins: [Pin] = []) { self.pins = pins.filter { $0.name == nil } }

  package var count: Int { pins.count }
  package var ids: Set<String> { Set(pins.map(\.id)) }

  /// Something in the repository may be the result of an accident, and nobody has accepted it yet.
  package var isSuspect: Bool { pins.contains { $0.origin == .start } }
  package func contains(_ id: String) -> Bool { pins.contains { $0.id == id } }

  /// - Returns: the pins of drops to release, so that at most `ShrinkGuard.pinsMax` stay. The pin of a
  ///   suspect start is never released in this way: while it exists, a restore asks which state is right.
  package mutating func add(_ pin: Pin) -> [String] {
    pins.append(pin)
    let drops = pins.filter { $0.origin == .drop }.map(\.id)
    let excess = Array(drops.dropLast(ShrinkGuard.pinsMax))
    remove(Set(excess))
    return excess
  }

  /// Removes the pins that someone released, and those that have expired by `now`.
  package mutating func settle(released: Set<String>, now: Instant) {
    remove(released.union(pins.filter { $0.until <= now }.map(\.id)))
  }

  private mutating func remove(_ ids: Set<String>) { pins.removeAll { ids.contains($0.id) } }
}
