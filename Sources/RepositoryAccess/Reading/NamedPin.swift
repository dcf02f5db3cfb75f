import BackupFormat
package import BackupTypes
import HistoryLogic
import ObjectStorage

/// A restore point that a person keeps under a name, and that `restore --point` finds by it.
package struct NamedPin: Sendable, Encodable {
  package var name: String
  package var id: String
  package var point: String
  package var instant: String
  package var until: String
  /// The command that restores it.
  package var restore: String

  /// Pins the newest restore point.
  /// - Parameters:
  ///   - name: a name that `Pin.isName` accepts.
  ///   - keptFor: milliseconds.
  ///   - url: the value of `--repo`, for commands that are printed.
  /// - Throws: `.usage` for another name, `.refused` if a pin in force has it, `.noBackup` without a restore
  ///   point.
  package static func make(
    _ name: String, keptFor: Int64, in repository: Repository, url: String?, now: Instant
  ) async throws -> NamedPin {
    guard Pin.isName(name) else {
      throw LifeboatError(
        .usage, "\(printable(name)) can't be the name of a pin",
        hint: "use 1 to 41 of a-z, 0-9 and -, beginning with a letter: before-migration")
    }
    let command = repository.command(url)
    let pin = try await repository.withHistory { history in
      let reading = try await repository.pinsInForce(history.catalogue, now: now)
      let known =
        reading.pins.first { $0.name == name }?.id
        ?? reading.unreadable.first { Pin.name(inID: $0) == name }
      guard known == nil else {
        throw LifeboatError(
          .refused, "there is already a pin named \(name)", cause: "its id is \(known!)",
          hint: "choose another name, or release it: `\(command.unpin(name))`")
      }
      // This asks no question about a suspect state: even a state after an accident can be worth keeping.
      let reader = HistoryReader(repository: repository, history: history)
      guard let point = try await reader.point(.newest(.newest), now: now, url: url) else {
        throw LifeboatError(
          .noBackup, "there is no restore point at \(repository.store.location) yet",
          hint: "`lifeboat status` says what the sidecar waits for")
      }
      return (
        Pin(
          id: Pin.id(named: name, at: now), repository: repository.id, origin: .drop,
          reason: "set by lifeboat pin", at: now, until: now.advanced(byMilliseconds: keptFor),
          timeline: point.timeline, snapshot: point.snapshot.sequence, position: point.cut,
          name: name), point
      )
    }
    _ = try await repository.create(
      pin.0, .operation(.pins, id: pin.0.id), kind: .operation)
    return NamedPin(
      name: name, id: pin.0.id, point: pin.1.id, instant: pin.1.instant.description,
      until: pin.0.until.description, restore: command.line("--point \(name)"))
  }
}

extension PinReading {
  /// The ids of the pins with this name, including those that can't be read.
  package func ids(named name: String) -> [String] {
    pins.filter { $0.name == name }.map(\.id)
      + unreadable.filter { Pin.name(inID: $0) == name }
  }
}
