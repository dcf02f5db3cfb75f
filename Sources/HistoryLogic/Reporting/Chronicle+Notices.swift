package import BackupTypes

extension Chronicle {
  /// What a person should know before anything else, with the commands that undo or accept it.
  package struct Notice: Sendable, Equatable, Encodable {
    package enum Kind: String, Sendable, Encodable { case suspect, loss, removal, pin }
    package struct Remedy: Sendable, Equatable, Encodable {
      package var label: String
      package var command: String
    }
    package var kind: Kind
    package var text: String
    package var remedies: [Remedy]
  }

  /// An open question first, then what is lost, then removals of data, the newest first, then the other pins.
  package func notices(_ command: RestoreCommand) -> [Notice] {
    let removed = removals.reversed()
    let shown = Set(removed.compactMap(\.pin) + (suspicion.map { [$0.pin] } ?? []))
    return (suspicion.map { [notice($0, command)] } ?? [])
      + (newestLoss.map { [notice($0, command)] } ?? [])
      + removed.map { notice($0, command) }
      + pins.reversed().filter { !shown.contains($0.id) }.map { notice($0, command) }
  }

  /// The removal of data that nobody has accepted and that has an effect on the newest state: a restore would
  /// give a state without most of the keys.
  package var openRemoval: Removal? { removals.last { $0.isOpen && !$0.isRefilled } }

  private func notice(_ open: OpenSuspicion, _ command: RestoreCommand) -> Notice {
    Notice(
      kind: .suspect,
      text:
        "The newest state may be the result of an accident. Timeline \(open.timeline) began with: \(open.detail).",
      remedies: [
        .init(label: "restore the state before it", command: command.line("--suspect before")),
        .init(label: "accept the newest state", command: command.unpin(open.pin)),
      ])
  }

  private func notice(_ loss: String, _ command: RestoreCommand) -> Notice {
    Notice(
      kind: .loss,
      text: "What was backed up after the newest restore point can't be restored: \(loss).",
      remedies: [.init(label: "see what is damaged", command: command.verify)])
  }

  package func notice(_ removal: Removal, _ command: RestoreCommand) -> Notice {
    var made = Notice(
      kind: .removal, text: removal.text,
      remedies: [.init(label: "undo", command: command.line(removal.restore))])
    if removal.command == nil {
      made.remedies.append(.init(label: "find the exact command", command: command.inspect))
    }
    if let pin = removal.pin {
      made.remedies.append(.init(label: "accept", command: command.unpin(pin)))
    }
    return made
  }

  private func notice(_ pin: PinEntry, _ command: RestoreCommand) -> Notice {
    Notice(
      kind: .pin,
      text: "Pin \(pin.name ?? pin.id) keeps \(pin.point) until \(pin.until): \(pin.reason), "
        + "at \(pin.at).",
      remedies: [
        .init(label: "restore", command: command.line("--point \(pin.name ?? pin.point)")),
        .init(label: "release", command: command.unpin(pin.name ?? pin.id)),
      ])
  }
}

extension Chronicle.Removal {
  package var text: String {
    func keys(_ count: UInt64?) -> String {
      count.map { "about \(counted($0, "key"))" } ?? "unknown"
    }
    guard let command else {
      return "Most keys disappeared between \(from) and \(at). Before: \(keys(keysBefore)). "
        + "After: \(keys(keysAfter))."
    }
    return "\(command) at \(at) removed data."
      + (keysBefore.map { " Before it: about \(counted($0, "key"))." } ?? "")
  }
}
