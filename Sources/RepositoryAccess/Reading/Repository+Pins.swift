package import BackupFormat
package import BackupTypes
package import HistoryLogic

/// Pins, as far as they can be read.
///
/// A damaged pin stops only retention: it is unknown what the pin keeps, so it is in force until it is
/// released, which needs only its name.
package struct PinReading: Sendable {
  package var pins: [Pin] = []
  /// The ids of existing pins that can't be read, in order.
  package var unreadable: [String] = []
}

extension Repository {
  /// The readable pins of the guard and of people that are in force at `now`: neither released nor expired.
  package func activePins(_ catalogue: Catalogue, now: Instant) async throws -> [Pin] {
    try await pinsInForce(catalogue, now: now).pins
  }

  /// The pins in force at `now`: not released and, if that can be read, not expired.
  package func pinsInForce(_ catalogue: Catalogue, now: Instant) async throws -> PinReading {
    var reading = try await pins(catalogue.pinsHeld)
    reading.pins.removeAll { $0.until <= now }
    return reading
  }

  /// - Throws: if a listed object was deleted, or the store can't be used.
  package func pins(_ ids: some Sequence<String>) async throws -> PinReading {
    var reading = PinReading()
    for id in ids.sorted() {
      do {
        let name = ObjectPath.operation(.pins, id: id)
        let pin = try await record(Pin.self, name, kind: .operation)
        try check(pin.id == id, pin.repository, name)
        reading.pins.append(pin)
      } catch let error as LifeboatError where error.isUnreadable {
        reading.unreadable.append(id)
      }
    }
    return reading
  }
}

extension Catalogue {
  /// The ids of the pins that were not released.
  package var pinsHeld: Set<String> {
    (operations[.pins] ?? []).subtracting(operations[.releases] ?? [])
  }
}

extension LifeboatError {
  /// An object that was deleted since it was listed is not damaged: retention deletes, and the repository
  /// is then listed again.
  package var isDamage: Bool { code == .corrupt && missingObject == nil }

  /// Requests another listing. A snapshot that was written during a listing can name log that was created
  /// after the listing had passed its name. An object counts as missing only if the next listing does not
  /// have it, either.
  package init(missing object: String) {
    self.init(.corrupt, "the log has a hole: \(object)... is missing")
    missingObject = object
  }
}

extension PinReading {
  /// The pins, including damaged ones as far as their names describe them, so that an open question stays
  /// open.
  package var withNames: [Pin] { pins + unreadable.compactMap { Pin(startPinNamed: $0) } }
}

extension Pin {
  /// The id of the pin of a suspect start says which snapshot it keeps.
  package static func startID(_ now: Instant, _ timeline: TimelineNumber, _ snapshot: Int) -> String
  {
    "s\(decimal(max(0, now.milliseconds), width: 13))-\(timeline)-\(snapshot)"
  }

  /// Reads such an id of an unreadable pin; nil if the id has another form.
  fileprivate init?(startPinNamed id: String) {
    let parts = id.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0].first == "s", let time = Int64(parts[0].dropFirst()),
      let timeline = Int(parts[1]).flatMap({ TimelineNumber($0) }), let snapshot = Int(parts[2]),
      snapshot > 0
    else { return nil }
    self.init(
      id: id, repository: Nonce(bytes: [UInt8](repeating: 0, count: Nonce.byteCount))!,
      origin: .start, reason: "its pin can't be read", at: Instant(milliseconds: time),
      until: Instant(milliseconds: .max), timeline: timeline, snapshot: snapshot, position: nil)
  }
}
