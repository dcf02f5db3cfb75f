package import BackupFormat
import BackupTypes

/// Records that the guard writes below `ops/`.
package enum GuardRecord: Sendable, Equatable {
  case pin(Pin)
  case release(Release)
}

/// Destructive commands, and the pins of the states before them.
struct PinsDue: Sendable {
  var inForce: PinsInForce
  /// Commands that no snapshot has recorded.
  private(set) var commands: [Snapshot.Destructive] = []
  private(set) var records: [GuardRecord] = []

  init(_ inForce: PinsInForce) { self.inForce = inForce }

  var isEmpty: Bool { commands.isEmpty && records.isEmpty }

  mutating func note(_ command: Snapshot.Destructive) { commands.append(command) }
  /// The first record is durable.
  mutating func endRecord() { records.removeFirst() }

  /// A snapshot recorded the first command. The state before it is pinned.
  /// - Returns: the message for people.
  mutating func pin(_ snapshot: Snapshot, _ claim: Claim, for time: Int64) -> [String] {
    commands.removeFirst()
    guard let command = snapshot.destructive, snapshot.primary != nil else { return [] }
    let at = command.at
    let id =
      "p\(decimal(max(0, at.milliseconds), width: 13))-\(claim.timeline)-\(snapshot.sequence)"
      + "-\(inForce.count)"
    let pin = Pin(
      id: id, repository: claim.repository, origin: .drop, reason: command.command, at: at,
      until: at.advanced(byMilliseconds: time), timeline: claim.timeline,
      snapshot: snapshot.sequence, position: command.before)
    records.append(.pin(pin))
    var told = [
      "\(command.command) at \(at) removed data; the state before it is pinned until "
        + "`lifeboat unpin`, or \(humanDuration(milliseconds: time))"
    ]
    for oldest in inForce.add(pin) {
      told.append(
        "released the oldest pin, \(oldest): at most \(ShrinkGuard.pinsMax) pins are kept")
      records.append(
        .release(
          Release(pin: oldest, repository: claim.repository, at: at, by: "lifeboat ship")))
    }
    return told
  }
}
