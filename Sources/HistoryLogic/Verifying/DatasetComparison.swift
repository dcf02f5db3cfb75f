package import BackupFormat

/// The differences between the record of a dataset and what was found.
package enum DatasetComparison {
  /// One sentence for each difference, by database and type. Sizes in bytes are not compared, since they
  /// depend on the server's encoding.
  package static func differences(recorded: DatasetRecord, found: DatasetRecord) -> [String] {
    var differences: [String] = []
    func compare(_ what: String, _ recorded: some BinaryInteger, _ found: some BinaryInteger) {
      guard recorded != found else { return }
      differences.append("\(what): recorded \(recorded), found \(found)")
    }
    let before = Dictionary(recorded.databases.map { ($0.number, $0) }) { one, _ in one }
    let after = Dictionary(found.databases.map { ($0.number, $0) }) { one, _ in one }
    for number in Set(before.keys).union(after.keys).sorted() {
      let one = before[number]
      let other = after[number].map { $0.counted(like: one) }
      compare("db \(number), keys", one?.keys ?? 0, other?.keys ?? 0)
      compare("db \(number), keys with an expiry", one?.expires ?? 0, other?.expires ?? 0)
      for type in Set(one.map { Array($0.types.keys) } ?? [])
        .union(other.map { Array($0.types.keys) } ?? []).sorted()
      {
        let (kind, found) = (one?.types[type], other?.types[type])
        compare("db \(number), keys of type \(type)", kind?.keys ?? 0, found?.keys ?? 0)
        compare("db \(number), elements in \(type)", kind?.elements ?? 0, found?.elements ?? 0)
      }
    }
    compare("function libraries", recorded.functions, found.functions)
    return differences
  }
}

extension DatasetRecord.Database {
  /// Release 0.1.0 recorded vector sets as keys of a module, whose elements it did not know.
  fileprivate func counted(like recorded: DatasetRecord.Database?) -> DatasetRecord.Database {
    guard let recorded, recorded.types["module"] != nil, recorded.types["vectorset"] == nil,
      let vectors = types["vectorset"]
    else { return self }
    var result = self
    result.types["vectorset"] = nil
    let modules = types["module"] ?? .init(keys: 0, elements: 0, bytes: 0)
    result.types["module"] = .init(
      keys: modules.keys + vectors.keys, elements: modules.elements, bytes: modules.bytes)
    return result
  }
}
