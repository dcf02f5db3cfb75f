package import RedisFormats

/// The effect of the log on Ray's tables. Ray itself uses HSET, HSETNX, HDEL, INCRBY, DEL and UNLINK. If
/// any other command names one of its tables, the counts are an estimate.
extension RayTables {
  /// A new file begins: a server reads each file from database 0 on.
  package mutating func beginFile() { database = 0 }

  package mutating func apply(_ command: AOFCommandReader.Command) {
    let arguments = command.arguments
    func number(_ index: Int) -> Int? {
      guard index < arguments.count, let text = arguments[index] else { return nil }
      return Int(String(decoding: text, as: UTF8.self))
    }
    switch command.name {
    case "SELECT": database = number(1) ?? database
    case "FLUSHALL": remove { _ in true }
    case "FLUSHDB": remove { [database] in $0.database == database }
    case "SWAPDB":
      if let one = number(1), let other = number(2) { swap(one, other) }
    case "EVAL", "EVALSHA", "FCALL": doubtAll()
    case "DEL", "UNLINK":
      for case let key? in arguments.dropFirst() {
        if let place = Place(key, database: database) { remove(place) }
      }
      if !command.isWhole { doubtAll() }
    case let name: change(name, command)
    }
  }

  private mutating func change(_ name: String, _ command: AOFCommandReader.Command) {
    let arguments = command.arguments
    guard arguments.count > 1, let key = arguments[1], let place = Place(key, database: database)
    else {
      // Some commands (RENAME, COPY, or a member of a sorted set) may name a table in any argument.
      for case let key? in arguments.dropFirst(2) { doubt(key) }
      return
    }
    let rest = arguments.dropFirst(2)
    let isTable = place.table != .jobCounter
    switch name {
    case "HSET", "HMSET", "HSETNX":
      guard isTable else { return doubt(key) }
      for index in stride(from: 2, to: arguments.count - 1, by: 2) {
        change(place) { $0.set(arguments[index], command.sizes[index + 1], room: $1) }
      }
    case "HDEL":
      for field in rest { change(place) { contents, _ in contents.remove(field) } }
    case "SET", "SETNX":
      guard !isTable else { return doubt(key) }
      let value = rest.first.flatMap { $0 }.flatMap { Int64(String(decoding: $0, as: UTF8.self)) }
      change(place) { contents, _ in
        contents = Contents()
        contents.number = value
        contents.isEstimate = value == nil
      }
    case "INCR": count(place, by: 1)
    case "INCRBY":
      let by = rest.first.flatMap { $0 }.flatMap { Int64(String(decoding: $0, as: UTF8.self)) }
      count(place, by: by)
    default: doubt(key)
    }
    if !command.isWhole { doubt(key) }
  }

  private mutating func count(_ place: Place, by: Int64?) {
    change(place) { contents, _ in
      let (sum, overflow) = (contents.number ?? 0).addingReportingOverflow(by ?? 0)
      if by == nil || overflow { contents.isEstimate = true }
      contents.number = sum
    }
  }

  /// Marks an existing table as uncertain.
  private mutating func doubt(_ key: [UInt8]) {
    guard let place = Place(key, database: database), tables[place] != nil else { return }
    change(place) { contents, _ in contents.isEstimate = true }
  }
}
