import BackupFormat
import BackupTypes

extension RepositoryListing {
  package var text: String {
    var text = "repository \(repository) at \(location)"
    text += cipher == Descriptor.Cipher.none.rawValue ? "\n" : ", encrypted (\(cipher))\n"
    text += "\(objects) objects, \(humanBytes(bytes))"
    if foreignObjects > 0 { text += ", and \(foreignObjects) foreign ones (ignored)" }
    text += "\nnewest restore point: "
    text +=
      newest.map { "\($0) of \(newestInstant ?? "")" }
      ?? (unreadable.isEmpty ? "none yet" : "not known, because of what can't be read")
    if isNewestBeforeLoss { text += ": the last complete state BEFORE A LOSS, see below" }
    text += "\n"
    for timeline in timelines {
      text += "\ntimeline \(timeline.number)  claimed \(timeline.claimedAt) by \(timeline.source)"
      if let parent = timeline.parent {
        text += ", after \(parent)" + (timeline.fork.map { " from \($0)" } ?? " (no common log)")
      }
      if timeline.isAbandoned { text += ", its end is an abandoned branch" }
      text += "\n"
      if let suspicion = timeline.suspicion { text += "  SUSPECT start: \(suspicion)\n" }
      if timeline.points.isEmpty { text += "  no restore point\n" }
      if let unfinished = timeline.unfinished { text += "  " + unfinished.text + "\n" }
      for point in timeline.points {
        let span = point.from == point.to ? point.to : "\(point.from) to \(point.to)"
        text += "  \(point.id)  \(point.primary)  \(span)"
        if let keys = point.keys { text += "  \(keys) keys in its full copy" }
        if point.isUnverified { text += "  unverified" }
        if let command = point.destructive { text += "  after \(command)" }
        text += "\n"
      }
    }
    if !losses.isEmpty {
      text += "\nLOST: log that was durable and is missing from the repository\n"
    }
    for loss in losses { text += loss.text }
    if !quarantined.isEmpty { text += "\nfound damaged, and left out\n" }
    for id in quarantined { text += "  \(id)\n" }
    if let drill = lastDrill {
      text += "\nlast drill: \(drill.at), \(drill.point) on \(drill.server): "
      text += drill.isPassed ? "passed" : "FAILED (\(drill.differences.first ?? "see its record"))"
      text += ", \(drill.restoreSeconds) s to restore and \(drill.loadSeconds) s to load\n"
    }
    if !pins.isEmpty { text += "\npins\n" }
    for pin in pins {
      text += "  \(pin.id)  keeps \(pin.point) until \(pin.until): \(pin.reason) at \(pin.at)\n"
    }
    for name in unreadable {
      text += "\n\(name) can't be read, and what needs it is left out: see `lifeboat verify`\n"
    }
    for id in unreadablePins {
      text +=
        "\nthe pin \(id) can't be read, and nothing is deleted because of it: `lifeboat unpin "
      text += "\(id)` releases it\n"
    }
    return text
  }
}

extension RepositoryListing.Loss {
  fileprivate var text: String {
    var text = "  from \(since) to \(until): the bytes \(from) to \(to) of \(file), timeline "
    text += "\(timeline) (objects \(object)...)\n"
    if let before { text += "    the last complete state before it:  --point \(before)\n" }
    if let behind { text += "    the first complete state after it:  --point \(behind)\n" }
    return text
  }
}
