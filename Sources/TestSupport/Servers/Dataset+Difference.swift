extension Dataset {
  /// The first `limit` differences as lines of text, and how many more there are. Empty exactly if the two
  /// are equal. `self` is what was expected.
  package func difference(to other: Dataset, limit: Int = 10) -> [String] {
    var lines: [String] = []
    for database in Set(databases.keys).union(other.databases.keys).sorted() {
      let (mine, theirs) = (databases[database] ?? [:], other.databases[database] ?? [:])
      for key in Set(mine.keys).union(theirs.keys).sorted() where mine[key] != theirs[key] {
        let words = Dataset.words(mine[key], theirs[key])
        lines.append("db\(database) \(key): \(words)")
      }
    }
    for name in Set(functions.keys).union(other.functions.keys).sorted()
    where functions[name] != other.functions[name] {
      let (mine, theirs) = (functions[name], other.functions[name])
      lines.append("function library \(name): \(Dataset.presence(mine, theirs) ?? "other code")")
    }
    let more = lines.count - limit
    return more > 0 ? lines.prefix(limit) + ["… and \(more) more"] : lines
  }

  private static func presence<T>(_ mine: T?, _ theirs: T?) -> String? {
    if theirs == nil { return "missing" }
    return mine == nil ? "not expected" : nil
  }

  private static func words(_ mine: Entry?, _ theirs: Entry?) -> String {
    guard let mine, let theirs else { return presence(mine, theirs)! }
    var words: [String] = []
    if mine.expiry != theirs.expiry {
      words.append("expiry \(text(theirs.expiry)) instead of \(text(mine.expiry))")
    }
    if mine.value != theirs.value { words.append(valueWords(mine.value, theirs.value)) }
    return words.joined(separator: ", ")
  }

  private static func text(_ expiry: Int?) -> String { expiry.map { String($0) } ?? "none" }

  private static func valueWords(_ mine: Value, _ theirs: Value) -> String {
    switch (mine, theirs) {
    case (.string(let a), .string(let b)): "string " + blobWords(a, b)
    case (.list(let a), .list(let b)): "list " + sequenceWords(a, b)
    case (.set(let a), .set(let b)):
      "set lacks \(short(Set(a).subtracting(b))), has \(short(Set(b).subtracting(a))) too many"
    case (.sortedSet(let a), .sortedSet(let b)): "sorted set: " + mapWords(a, b)
    case (.hash(let a), .hash(let b)): "hash: " + mapWords(a, b)
    case (.stream(let a), .stream(let b)):
      "stream \(a.lastID) with \(a.entries.count) entries expected, \(b.lastID) with "
        + "\(b.entries.count) found"
        + (a.entries == b.entries ? "; groups: " + mapWords(a.groups, b.groups) : "")
    default: "\(typeName(theirs)) instead of \(typeName(mine))"
    }
  }

  private static func typeName(_ value: Value) -> String {
    switch value {
    case .string: "string"
    case .list: "list"
    case .set: "set"
    case .sortedSet: "sorted set"
    case .hash: "hash"
    case .stream: "stream"
    case .other(let name, _): name
    }
  }

  private static func blobWords(_ mine: Blob, _ theirs: Blob) -> String {
    let common = zip(mine.bytes, theirs.bytes).prefix { $0 == $1 }.count
    return "\(theirs) instead of \(mine), from byte \(common)"
  }

  private static func sequenceWords(_ mine: [Blob], _ theirs: [Blob]) -> String {
    let common = zip(mine, theirs).prefix { $0 == $1 }.count
    return "of \(theirs.count) instead of \(mine.count), from element \(common)"
  }

  private static func mapWords<V: Equatable>(_ mine: [Blob: V], _ theirs: [Blob: V]) -> String {
    let other = Set(mine.keys).union(theirs.keys).filter { mine[$0] != theirs[$0] }
    guard let first = other.min() else { return "equal" }
    let words = presence(mine[first], theirs[first]) ?? "other value"
    return
      "\(theirs.count) instead of \(mine.count), \(other.count) differ, first \(first) \(words)"
  }

  private static func short(_ members: Set<Blob>) -> String {
    "\(members.count)" + (members.min().map { " (\($0))" } ?? "")
  }
}
