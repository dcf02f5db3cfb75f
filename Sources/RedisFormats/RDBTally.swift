/// The running counts of a walk. Keys are counted when their value is complete.
struct RDBTally: Sendable {
  /// The maximum number of databases that are counted separately. The default of a server's `databases` is
  /// 16.
  static let databasesMax = 65_536
  private static let auxiliaryMax = 64
  static let auxiliaryBytesMax = 256

  private struct Database: Sendable {
    var keys: UInt64 = 0
    var expires: UInt64 = 0
    var fieldExpires: UInt64 = 0
    /// By index into `RDBLayout.typeNames`.
    var types = [TypeSummary](repeating: TypeSummary(), count: RDBLayout.typeNames.count)
  }
  private var current = Database()
  private(set) var currentNumber = 0
  private var others: [Int: Database] = [:]

  /// Everything except databases, checksum and size.
  var header = RDBSummary()

  /// Returns false if there are too many databases.
  mutating func select(_ number: Int) -> Bool {
    guard number != currentNumber else { return true }
    if current.keys > 0 { others[currentNumber] = current }
    current = others.removeValue(forKey: number) ?? Database()
    currentNumber = number
    return others.count < RDBTally.databasesMax
  }

  mutating func add(
    type: Int, elements: UInt64, fieldExpires: UInt64, bytes: UInt64, expires: Bool
  ) {
    current.keys &+= 1
    if expires { current.expires &+= 1 }
    current.fieldExpires &+= fieldExpires
    current.types[type].keys &+= 1
    current.types[type].elements &+= elements
    current.types[type].bytes &+= bytes
    if bytes > current.types[type].largest { current.types[type].largest = bytes }
  }

  mutating func addAuxiliary(name: [UInt8], value: [UInt8]) {
    guard name.count <= RDBTally.auxiliaryBytesMax, value.count <= RDBTally.auxiliaryBytesMax,
      let name = String(validating: name, as: UTF8.self),
      let value = String(validating: value, as: UTF8.self)
    else { return }
    switch name {
    case "redis-ver": header.serverVersion = value
    case "valkey-ver":
      header.serverVersion = value
      header.isValkey = true
    case "ctime": header.createdAtSeconds = Int64(value)
    case "slot-info":
      header.hasSlots = true
      return
    default: break
    }
    if header.auxiliary.count < RDBTally.auxiliaryMax || header.auxiliary[name] != nil {
      header.auxiliary[name] = value
    }
  }

  var databases: [Int: DatabaseSummary] {
    var result: [Int: DatabaseSummary] = [:]
    for (number, database) in others { result[number] = RDBTally.summary(database) }
    if current.keys > 0 { result[currentNumber] = RDBTally.summary(current) }
    return result
  }

  private static func summary(_ database: Database) -> DatabaseSummary {
    var types: [String: TypeSummary] = [:]
    for (name, type) in zip(RDBLayout.typeNames, database.types) where type.keys > 0 {
      types[name] = type
    }
    return DatabaseSummary(
      keys: database.keys, expires: database.expires, fieldExpires: database.fieldExpires,
      types: types)
  }
}
