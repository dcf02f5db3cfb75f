import BackupFormat
import BackupTypes
import HistoryLogic

/// For a person: what needs attention, then one row for each recovery window.
extension RepositoryListing {
  private static let width = 80
  /// The newest rows: older ones scroll away.
  private static let rowsMax = 20

  package var text: String {
    var text = "repository \(repository)"
    text += cipher == Descriptor.Cipher.none.rawValue ? "\n" : ", encrypted (\(cipher))\n"
    text += "\(counted(objects, "object")), \(humanBytes(bytes))"
    if foreignObjects > 0 { text += ", and \(counted(foreignObjects, "foreign one")) (ignored)" }
    text += ", at \(location)\nnewest restore point: "
    text +=
      newest.map { "\($0) of \(newestInstant ?? "")" }
      ?? (unreadable.isEmpty ? "none yet" : "not known: records can't be read")
    text += isNewestBeforeLoss ? ", BEFORE A LOSS: see below\n" : "\n"
    if let source = timelines.last?.source { text += "source: \(printable(source, limit: 200))\n" }
    for notice in notices { text += "\n" + notice.lines(width: RepositoryListing.width) }
    for timeline in timelines where timeline.isCutOff {
      text += "\nTimeline \(timeline.number) was CUT OFF by a later claim.\n"
      text += "`restore --timeline \(timeline.number)` gives its end. See `lifeboat verify`.\n"
    }
    for name in unusable {
      text += "\n\(name) can't be used.\nIt is ignored. See `lifeboat verify`.\n"
    }
    for name in contradicting {
      text += "\n\(name) contradicts another object.\n"
      text += "One of the two is forged. Nothing is deleted. See `lifeboat verify`.\n"
    }
    if !losses.isEmpty {
      text += "\nLOST: log that was backed up and is missing from the repository\n"
    }
    for loss in losses { text += loss.text }
    for unfinished in timelines.compactMap(\.unfinished) {
      text += "\ntimeline \(unfinished.timeline): \(unfinished.text)\n"
    }
    for name in unreadable {
      text +=
        "\n\(name) can't be read.\nRestore points that need it are left out. See `lifeboat verify`.\n"
    }
    for id in unreadablePins {
      text += "\nThe pin \(id) can't be read. Nothing is deleted because of it.\n"
      text += "`lifeboat unpin \(id)` releases it.\n"
    }
    if !quarantined.isEmpty { text += "\nFound damaged, and left out:\n" }
    for id in quarantined { text += "  \(id)\n" }
    text += table
    if let drill = lastDrill {
      text += "\nlast drill: \(drill.at), \(drill.point) on \(drill.server)\n  "
      text += drill.isPassed ? "passed" : "FAILED (\(drill.differences.first ?? "see its record"))"
      text += ", \(drill.restoreSeconds) s to restore and \(drill.loadSeconds) s to load\n"
    }
    return text
  }

  private var table: String {
    let rows = timelines.flatMap { timeline in
      timeline.windows.map { $0.row(isSuspect: timeline.suspicion != nil) }
    }
    guard !rows.isEmpty else { return "" }
    var text = "\n  from (UTC)           to (UTC)             keys at end  restore point at end\n"
    // The order of the timelines is that of the history.
    for (times, point) in rows.suffix(RepositoryListing.rowsMax).reversed() {
      let isLong = times.count + 2 + point.count > RepositoryListing.width
      text += times + (isLong ? "\n    " : "  ") + point + "\n"
    }
    if rows.count > RepositoryListing.rowsMax {
      text +=
        "  and \(counted(rows.count - RepositoryListing.rowsMax, "earlier row")): --json has all of them\n"
    }
    let windows = timelines.flatMap(\.windows)
    if windows.contains(where: { !$0.isCounted && $0.keys != nil }) {
      text += "  ~ by the snapshot nearest to the end; `lifeboat inspect` counts\n"
    }
    return text
  }
}

extension RepositoryListing.Window {
  fileprivate func row(isSuspect: Bool) -> (times: String, point: String) {
    func shown(_ instant: Instant) -> String {
      let text = instant.description
      guard text.hasSuffix("Z") else { return text }
      return String(text.prefix(19)).replacing("T", with: " ")
    }
    func padded(_ text: String, _ width: Int, isRight: Bool = false) -> String {
      let space = String(repeating: " ", count: max(0, width - text.count))
      return isRight ? space + text : text + space
    }
    var remarks: [String] = []
    if isAbandoned { remarks.append("branch") }
    if isSuspect { remarks.append("suspect") }
    if isUnverified { remarks.append("unverified") }
    let count = keys.map { (isCounted ? "" : "~") + "\($0)" } ?? "unknown"
    return (
      "  " + padded(shown(from), 19) + "  " + padded(isCopy ? "a full copy" : shown(to), 19) + "  "
        + padded(count, 11, isRight: true),
      (point ?? "none") + (remarks.isEmpty ? "" : "  " + remarks.joined(separator: ", "))
    )
  }
}

extension Chronicle.Notice {
  /// Text is wrapped. A command stays on one line, so that it can be copied.
  fileprivate func lines(width: Int) -> String {
    var text = wrapped(self.text, width: width) + "\n"
    for remedy in remedies { text += "  \(remedy.label):\n    \(remedy.command)\n" }
    return text
  }
}

extension RepositoryListing.Loss {
  fileprivate var text: String {
    var text = "  from \(since) to \(until)\n"
    text += "    bytes \(from) to \(to) of \(file), timeline \(timeline)\n"
    text += "    objects \(object)...\n"
    if let before { text += "    the last complete state before it:  --point \(before)\n" }
    if let behind { text += "    the first complete state after it:  --point \(behind)\n" }
    return text
  }
}
