package import BackupFormat
package import BackupTypes

/// The shrink guard's pins that nobody has let go yet, as far as a shipper knows.
package struct PinsInForce: Sendable, Equatable {
  /// The oldest first.
  private var pins: [Pin]
  /// Pins of generations that became suspiciously small, by id: those of FLUSHALL and the like are
  /// drops too, but a command that someone gave is no riddle.
  private var suspicious: Set<String> = []

  package init(_ pins: [Pin] = []) { self.pins = pins }

  package var count: Int { pins.count }

  /// Something in the repository may be an accident, and nobody has accepted it yet.
  package var isSuspect: Bool {
    pins.contains { $0.origin == .start || suspicious.contains($0.id) }
  }

  /// - Returns: the drops' pins that are to be let go, so that no more than `ShrinkGuard.pinsMax` stay.
  ///   A start's pin is never among them: a restore asks which state is right as long as it stands.
  package mutating func add(_ pin: Pin, isSuspicious: Bool = false) -> [String] {
    pins.append(pin)
    if isSuspicious { suspicious.insert(pin.id) }
    let drops = pins.filter { $0.origin == .drop }.map(\.id)
    let excess = Array(drops.dropLast(ShrinkGuard.pinsMax))
    remove(Set(excess))
    return excess
  }

  /// Somebody let `released` go, and what has run out by `now` went by itself.
  package mutating func settle(released: Set<String>, now: Instant) {
    remove(released.union(pins.filter { $0.until <= now }.map(\.id)))
  }

  private mutating func remove(_ ids: Set<String>) {
    pins.removeAll { ids.contains($0.id) }
    suspicious.subtract(ids)
  }
}
