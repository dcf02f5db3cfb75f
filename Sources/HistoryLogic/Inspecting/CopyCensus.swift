package import RedisFormats

/// The facts about a full copy that `inspect` reports beyond its counts, gathered in one walk.
package struct CopyCensus: RDBKeyObserver {
  package private(set) var keys = KeyCensus()
  package private(set) var entries = EntryCensus()
  package var ray = RayTables()
  private var isRays = false
  private var areEntriesWanted = false

  package init() {}

  package mutating func begin(_ name: [UInt8], database: Int, type: String) -> Bool {
    isRays = ray.begin(name, database: database, type: type)
    areEntriesWanted = entries.begin(name, database: database, type: type)
    return isRays || areEntriesWanted
  }

  package mutating func take(string: [UInt8]) {
    if isRays { ray.take(string: string) }
  }

  package mutating func take(element: [UInt8]?, valueBytes: UInt64) {
    if isRays { ray.take(field: element, valueBytes: valueBytes) }
    if areEntriesWanted { entries.take(element: element) }
  }

  package mutating func take(unnamed: UInt64) {
    if isRays { ray.take(unnamed: unnamed) }
    if areEntriesWanted { entries.take(unnamed: unnamed) }
  }

  package mutating func end(_ key: RDBKeyFacts) {
    keys.add(key)
    entries.end(key)
  }
}
