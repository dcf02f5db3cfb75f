/// The data of Ray's Global Control Store in Redis, followed through a full copy and the log after it:
/// hashes `RAY<namespace>@<table>` with a field for each job, actor and so on, and the string
/// `RAY<namespace>@JobCounter` (read from a live head of Ray 2.60). Fields are known by a hash of their
/// names, so the counts are exact up to `fieldsMax` fields.
///
/// Ray before 2.38 kept everything in one hash named after the namespace alone. It can't be distinguished
/// from other hashes, and is not recognised.
package struct RayTables: Sendable {
  /// Fields of all tables together that are known.
  static let fieldsMax = 1 << 16
  /// Tables of all namespaces together; eight make one namespace.
  static let tablesMax = 2048

  enum Table: String, CaseIterable, Sendable {
    case keyValues = "KV"
    case jobs = "JOB"
    case actors = "ACTOR"
    case actorTaskSpecs = "ACTOR_TASK_SPEC"
    case nodes = "NODE"
    case workers = "WORKERS"
    case placementGroups = "PLACEMENT_GROUP"
    case jobCounter = "JobCounter"
  }

  struct Place: Hashable, Sendable {
    var database: Int
    var namespace: [UInt8]
    var table: Table

    /// Nil for a name that is not one of Ray's.
    init?(_ key: [UInt8], database: Int) {
      // The namespace may have an @ of its own.
      guard key.starts(with: Place.marker), let at = key.lastIndex(of: UInt8(ascii: "@")),
        at > Place.marker.count, key.count - at <= 20,
        let table = Table(rawValue: String(decoding: key[(at + 1)...], as: UTF8.self))
      else { return nil }
      self.database = database
      namespace = Array(key[Place.marker.count..<at])
      self.table = table
    }
    private static let marker = Array("RAY".utf8)
  }

  struct Contents: Sendable {
    /// Bytes of the value of each field, by the hash of its name.
    var fields: [UInt64: UInt64] = [:]
    /// Fields that are not known by their names.
    var unknown: UInt64 = 0
    /// Of the string.
    var number: Int64?
    /// It was changed in a way that is not followed.
    var isEstimate = false

    var count: UInt64 { UInt64(fields.count) &+ unknown }
  }

  private(set) var tables: [Place: Contents] = [:]
  /// Tables for which there was no room.
  package private(set) var leftOut: UInt64 = 0
  var known = 0
  /// Where the log is.
  var database = 0
  /// The table whose fields come next.
  private var place: Place?

  package init() {}

  // MARK: A full copy

  /// Whether it is one of Ray's tables, whose content is needed.
  mutating func begin(_ name: [UInt8], database: Int, type: String) -> Bool {
    place = Place(name, database: database)
    if place != nil, place!.table == .jobCounter ? type != "string" : type != "hash" { place = nil }
    return place != nil
  }

  mutating func take(field: [UInt8]?, valueBytes: UInt64) {
    if let place { change(place) { $0.set(field, valueBytes, room: $1) } }
  }

  mutating func take(unnamed: UInt64) {
    guard let place else { return }
    change(place) { contents, _ in
      contents.unknown &+= unnamed
      contents.isEstimate = true
    }
  }

  mutating func take(string: [UInt8]) {
    guard let place else { return }
    change(place) { contents, _ in
      contents.number = Int64(String(decoding: string, as: UTF8.self))
      contents.isEstimate = contents.number == nil
    }
  }

  // MARK: Changes

  /// Creates the table if it does not exist, and removes it when it is empty.
  mutating func change(_ place: Place, _ body: (inout Contents, _ room: Int) -> Void) {
    guard tables[place] != nil || tables.count < RayTables.tablesMax else {
      leftOut &+= 1
      return
    }
    let before = tables[place]?.fields.count ?? 0
    body(&tables[place, default: Contents()], RayTables.fieldsMax - known)
    known += tables[place]!.fields.count - before
    if tables[place]!.count == 0, tables[place]!.number == nil { tables[place] = nil }
  }

  mutating func remove(_ place: Place) {
    if let gone = tables.removeValue(forKey: place) { known -= gone.fields.count }
  }

  mutating func remove(where isGone: (Place) -> Bool) {
    for place in tables.keys where isGone(place) { remove(place) }
  }

  mutating func swap(_ one: Int, _ other: Int) {
    var swapped: [Place: Contents] = [:]
    for (place, contents) in tables {
      var place = place
      if place.database == one {
        place.database = other
      } else if place.database == other {
        place.database = one
      }
      swapped[place] = contents
    }
    tables = swapped
  }

  /// Marks all tables as uncertain, since something may have changed any of them.
  mutating func doubtAll() { for place in tables.keys { tables[place]!.isEstimate = true } }
}

extension RayTables.Contents {
  mutating func set(_ field: [UInt8]?, _ valueBytes: UInt64, room: Int) {
    guard let field else {
      unknown &+= 1
      isEstimate = true
      return
    }
    let hash = EntryHash.of(field)
    if fields[hash] == nil, room <= 0 {
      unknown &+= 1
      isEstimate = true
    } else {
      fields[hash] = valueBytes
    }
  }

  mutating func remove(_ field: [UInt8]?) {
    if let field, fields.removeValue(forKey: EntryHash.of(field)) != nil { return }
    if unknown > 0 { unknown -= 1 }
    isEstimate = isEstimate || field == nil
  }
}
