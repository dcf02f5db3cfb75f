import BackupTypes
import HistoryLogic

extension Chronicle.Event.Kind {
  var name: String {
    switch self {
    case .claim: "Start"
    case .suspect: "Suspect start"
    case .destructive: "Destructive command"
    case .drop: "Keys removed"
    case .rewrite: "Rewrite"
    case .pin: "Pin"
    case .quarantine: "Damaged copy"
    case .drill: "Drill"
    case .end: "Clean shutdown"
    }
  }
  var plural: String {
    switch self {
    case .claim: "Starts of a shipper"
    case .suspect: "Suspect starts"
    case .destructive: "Destructive commands"
    case .drop: "Keys removed"
    case .rewrite: "Rewrites"
    case .pin: "Pins"
    case .quarantine: "Damaged copies"
    case .drill: "Drills"
    case .end: "Clean shutdowns"
    }
  }
}

extension Chronicle.Event {
  var words: String {
    switch kind {
    case .claim: "timeline \(timeline.map(\.description) ?? "?"), by \(detail)"
    case .end:
      "the shipper of timeline \(timeline.map(\.description) ?? "?") stopped, with everything backed up"
    case .rewrite: "the log continues after a new full copy, \(detail.prefix(12))…"
    case .destructive: "\(detail); the state before it can be restored"
    case .drop: "\(detail); inspect finds the command"
    case .suspect, .pin, .quarantine, .drill: detail
    }
  }

  /// A link into the page that chooses the state that this event is about.
  var link: String {
    if let restore, restore.hasPrefix("--point ") { return "#point=" + restore.dropFirst(8) }
    return "#at=" + unixSeconds(at)
  }
}

/// `1700000000` or `1700000000.250`.
func unixSeconds(_ instant: Instant) -> String {
  let (seconds, rest) = instant.milliseconds.quotientAndRemainder(dividingBy: 1000)
  return rest > 0 ? "\(seconds)." + decimal(rest, width: 3) : "\(seconds)"
}

extension Chronicle.Gap.Kind {
  var sentence: String {
    switch self {
    case .unwatched: "no shipper ran, or nothing was written"
    case .unreadable: "the log could not be followed until a new full copy was uploaded"
    case .dumps: "full copies only: each restores one instant"
    }
  }
}
