import BackupTypes

/// One Ray cluster in a dataset, as far as it can be counted. Ended jobs and actors count, too, until Ray
/// removes them. Their states are in protobuf messages, which are not read.
package struct RayNamespace: Sendable, Equatable, Encodable {
  /// The value of `externalStorageNamespace`.
  package var namespace: String
  package var database: Int
  package var jobs: UInt64 = 0
  /// The number of the last job that was started.
  package var jobCounter: Int64?
  package var actors: UInt64 = 0
  package var nodes: UInt64 = 0
  package var workers: UInt64 = 0
  package var placementGroups: UInt64 = 0
  /// Entries of its internal key-value store, working directories among them.
  package var entries: UInt64 = 0
  package var entryBytes: UInt64 = 0
  /// Whether some command was not followed, or there was too much data.
  package var isEstimate = false
}

extension RayTables {
  package var namespaces: [RayNamespace] {
    struct Key: Hashable {
      var database: Int
      var namespace: [UInt8]
    }
    var found: [Key: RayNamespace] = [:]
    for (place, contents) in tables {
      let key = Key(database: place.database, namespace: place.namespace)
      var one =
        found[key]
        ?? RayNamespace(
          namespace: printable(String(decoding: place.namespace, as: UTF8.self)),
          database: place.database)
      switch place.table {
      case .keyValues:
        one.entries = contents.count
        one.entryBytes = contents.fields.values.reduce(0, &+)
      case .jobs: one.jobs = contents.count
      case .actors: one.actors = contents.count
      case .actorTaskSpecs: break
      case .nodes: one.nodes = contents.count
      case .workers: one.workers = contents.count
      case .placementGroups: one.placementGroups = contents.count
      case .jobCounter: one.jobCounter = contents.number
      }
      one.isEstimate = one.isEstimate || contents.isEstimate || leftOut > 0
      found[key] = one
    }
    return found.values.sorted {
      ($0.database, $0.namespace) < ($1.database, $1.namespace)
    }
  }
}
