package import BackupFormat
package import BackupLogic
package import BackupTypes

/// Pins, as far as they can be read.
///
/// One that is damaged stops nobody but retention: what it keeps is not known, so that it is in force
/// until it is let go, which takes no more than its name.
package struct PinReading: Sendable {
  package var pins: [Pin] = []
  /// The ids of those that are there and can't be read, in order.
  package var unreadable: [String] = []
}

extension Repository {
  /// The guard's and people's pins that are in force at `now` and can be read: not released, not past
  /// their end.
  package func activePins(_ catalogue: Catalogue, now: Instant) async throws -> [Pin] {
    try await pinsInForce(catalogue, now: now).pins
  }

  /// The pins in force at `now`: not released, not past their end if that can be read.
  package func pinsInForce(_ catalogue: Catalogue, now: Instant) async throws -> PinReading {
    var reading = try await pins(catalogue.pinsHeld)
    reading.pins.removeAll { $0.until <= now }
    return reading
  }

  /// - Throws: what went away since it was listed, and a store that can't be used.
  func pins(_ ids: some Sequence<String>) async throws -> PinReading {
    var reading = PinReading()
    for id in ids.sorted() {
      do {
        reading.pins.append(
          try await record(Pin.self, .operation(.pins, id: id), kind: .operation))
      } catch let error as LifeboatError where error.isDamage || error.code == .versionMismatch {
        reading.unreadable.append(id)
      }
    }
    return reading
  }
}

extension Catalogue {
  /// The ids of the pins that nobody let go.
  package var pinsHeld: Set<String> {
    (operations[.pins] ?? []).subtracting(operations[.releases] ?? [])
  }
}

extension LifeboatError {
  /// What went away since it was listed is no damage: retention deletes, and then it is listed anew.
  var isDamage: Bool { code == .corrupt && missingObject == nil }
}

extension PinReading {
  /// With what the names of the damaged ones say: a question that was open stays open.
  var withNames: [Pin] { pins + unreadable.compactMap { Pin(startPinNamed: $0) } }
}

extension Pin {
  /// The id of the pin of a start that may be an accident says which snapshot it keeps.
  static func startID(_ now: Instant, _ timeline: TimelineNumber, _ snapshot: Int) -> String {
    "s\(decimal(max(0, now.milliseconds), width: 13))-\(timeline)-\(snapshot)"
  }

  /// What such an id tells of a pin that can't be read; nil when it is none.
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
