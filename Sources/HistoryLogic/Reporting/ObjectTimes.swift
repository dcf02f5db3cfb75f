package import BackupFormat
package import BackupTypes

/// When objects became durable, by the store's clock. These times come from the pages of a listing, since
/// names do not have them.
package struct ObjectTimes: Sendable {
  struct LogFile: Hashable, Sendable {
    var timeline: TimelineNumber
    var ordinal: Int
  }
  struct LogObject: Sendable {
    var from: UInt64
    var to: UInt64
    /// In milliseconds; 0 if there is no mark.
    var mark: Int64
    var modified: Int64
    var size: Int64
    /// In milliseconds. It may have any value, since a store can report any time.
    var lag: Int64 { Instant(milliseconds: modified).since(Instant(milliseconds: mark)) }
  }

  private(set) var logs: [LogFile: [LogObject]] = [:]
  private var indexes: [GenerationID: Instant] = [:]

  package init() {}

  package mutating func add(_ path: ObjectPath, _ size: Int, _ modified: Instant) {
    switch path {
    case .log(let timeline, let ordinal, let span):
      logs[LogFile(timeline: timeline, ordinal: ordinal), default: []].append(
        LogObject(
          from: span.from, to: span.to, mark: span.mark?.milliseconds ?? 0,
          modified: modified.milliseconds, size: Int64(size)))
    case .index(let id): indexes[id] = modified
    default: break
    }
  }

  /// The complete generations, in the order in which they were written.
  package var generations: [GenerationID] {
    indexes.sorted { ($0.value, $0.key.description) < ($1.value, $1.key.description) }.map(\.key)
  }
}
