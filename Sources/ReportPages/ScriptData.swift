import BackupTypes
import HistoryLogic

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
      if let (words, argument) = chronicle.unasked {
        fields.append("\"unasked\":[\(scriptString(words)),\(scriptString(argument))]")
      }
      let rows = RecoveryMap(chronicle).rows.map(row)
      fields.append("\"rows\":[" + rows.joined(separator: ",") + "]")
      let kinds = RecoveryMap.Kind.allCases.map { kind in
        let (words, argument) = ScriptData.text(of: kind)
        return "[\(scriptString(words)),\(argument.map { scriptString($0) } ?? "null")]"
      }
      fields.append("\"kinds\":[" + kinds.joined(separator: ",") + "]")
    }
    return "{" + fields.joined(separator: ",") + "}"
  }

  private func row(_ row: RecoveryMap.Row) -> String {
    // Numbers are kept short: a page with thousands of rows has to load on a phone.
    func distance(_ instant: Instant?) -> String {
      instant.map { "\($0.milliseconds.subtractingReportingOverflow(from).partialValue)" } ?? ""
    }
    let from = row.from?.milliseconds ?? 0
    var parts = [
      row.from == nil ? "null" : "\(from)", "\(row.kind.rawValue)", distance(row.last),
      distance(row.next), row.timeline.map { "\($0)" } ?? "",
    ]
    while parts.last == "" { parts.removeLast() }
    return "[" + parts.map { $0.isEmpty ? "null" : $0 }.joined(separator: ",") + "]"
  }

  /// The page's text about an instant, and the arguments of the command for it. Nil if there is no command.
  /// `{at}` is the instant, `{last}` the last one before it that can be restored.
  private static func text(of kind: RecoveryMap.Kind) -> (words: String, argument: String?) {
    switch kind {
    case .nothing:
      ("Before the first restore point: nothing can be restored to this instant.{next}", nil)
    case .window: ("In a recovery window: restores the state of this instant.", "--at {at}")
    case .branch:
      (
        "On the abandoned branch of timeline {timeline}: restores its state of this instant.",
        "--at {at} --timeline {timeline}"
      )
    case .between:
      (
        "No restore point at this instant: restores the last one before it, of {lastShown}.{next}",
        "--at {last}"
      )
    case .newest:
      ("After the newest restore point: restores the newest one, of {lastShown}.", "--at {last}")
    }
  }
}
