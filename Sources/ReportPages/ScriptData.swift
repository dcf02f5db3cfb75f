import BackupLogic
import BackupTypes

/// What the page's script needs, as JSON: times in milliseconds.
struct ScriptData {
  let page: ReportPage

  var text: String {
    var fields = [
      "\"head\":" + scriptString(page.command.head), "\"tail\":" + scriptString(page.command.tail),
      "\"live\":\(page.live != nil)", "\"reading\":\(page.live?.isReading ?? false)",
    ]
    if let chronicle = page.chronicle {
      fields.append("\"readAt\":\(chronicle.readAt.milliseconds)")
      let now = page.live == nil ? chronicle.readAt : page.now
      let axis = ReportPage.axes(chronicle, now: now).whole
      fields.append("\"span\":[\(axis.from.milliseconds),\(axis.to.milliseconds)]")
      if let newest = chronicle.newest {
        fields.append("\"newest\":[\(scriptString(newest.id)),\(newest.at.milliseconds)]")
      }
      fields.append("\"unread\":\(chronicle.recordsUnreadable > 0)")
      fields.append("\"suspect\":\(chronicle.suspicion != nil)")
      fields.append("\"earlier\":" + windows(chronicle.earlier))
      fields.append(
        "\"timelines\":[" + chronicle.timelines.map(timeline).joined(separator: ",") + "]")
    }
    return "{" + fields.joined(separator: ",") + "}"
  }

  private func windows(_ windows: [Chronicle.Window]) -> String {
    let parts = windows.map {
      "[\($0.from.milliseconds),\($0.to.milliseconds),\($0.isAbandoned ? 1 : 0)]"
    }
    return "[" + parts.joined(separator: ",") + "]"
  }

  /// Points are windows of no length.
  private func timeline(_ timeline: Chronicle.Timeline) -> String {
    let points = timeline.points.map { Chronicle.Window(from: $0.at, to: $0.at) }
    return "[\(timeline.number),\(timeline.claimedAt.milliseconds),"
      + windows(timeline.windows + points) + "]"
  }
}
