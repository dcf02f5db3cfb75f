package import BackupTypes
package import HistoryLogic

/// Log whose BASE never became durable, as `list` and `restore` report it.
package struct UnfinishedDocument: Sendable, Encodable {
  package var timeline: TimelineNumber
  package var bytes: UInt64
  /// When its first and last object were written.
  package var from: String?
  package var to: String?

  package init(_ log: UnfinishedLog) {
    timeline = log.timeline
    bytes = log.bytes
    from = log.times?.lowerBound.description
    to = log.times?.upperBound.description
  }

  var text: String {
    var text = "log without its BASE: \(humanBytes(bytes))"
    if let from, let to { text += " of \(from) to \(to)" }
    return text
      + "\n  `lifeboat restore --timeline \(timeline) --base empty` restores it, beginning with no keys"
  }
}
