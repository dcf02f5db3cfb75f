package import BackupFormat

/// Interprets what a server says about the files that it was started on.
package enum ServerAnswer {
  /// Why this server can't check the files, according to the last lines that it wrote. Nil if these report
  /// damage. A missing module, a newer version or an unknown command shows that the server is not the right
  /// one.
  package static func misfit(_ words: String) -> String? {
    let signs = [
      ("no matching module", "it lacks a module whose data the backup contains"),
      ("contains module data I can't load", "it lacks a module whose data the backup contains"),
      ("contains AUX module data I can't load", "it lacks a module whose data the backup contains"),
      ("not registered or missing rdb_load", "it lacks a module whose data the backup contains"),
      ("Can't handle RDB format version", "the files are of a version that it does not know"),
      ("Can't handle foreign type", "the files are of another product"),
      ("Wrong signature trying to load DB", "the files are of another product or version"),
      ("Unknown command '", "it does not know a command in the log"),
    ]
    return signs.first { words.contains($0.0) }?.1
  }

  /// The keys of each database, from `INFO keyspace`: `db0:keys=45,expires=4,avg_ttl=0`. Nil if it is not that.
  package static func keyspace(_ text: String) -> [Int: (keys: UInt64, expires: UInt64)]? {
    var found: [Int: (keys: UInt64, expires: UInt64)] = [:]
    for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("db") {
      let parts = line.dropFirst(2).split(separator: ":")
      guard parts.count == 2, let number = Int(parts[0]) else { return nil }
      var (keys, expires): (UInt64?, UInt64?)
      for field in parts[1].split(separator: ",") {
        let pair = field.split(separator: "=")
        guard pair.count == 2 else { continue }
        if pair[0] == "keys" { keys = UInt64(pair[1]) }
        if pair[0] == "expires" { expires = UInt64(pair[1]) }
      }
      guard let keys, let expires else { return nil }
      found[number] = (keys, expires)
    }
    return found
  }

  /// One sentence for each database with another number of keys than recorded.
  package static func differences(
    recorded: DatasetRecord, keyspace: [Int: (keys: UInt64, expires: UInt64)]
  ) -> [String] {
    let before = Dictionary(recorded.databases.map { ($0.number, $0) }) { one, _ in one }
    return Set(before.keys).union(keyspace.keys).sorted().flatMap { number -> [String] in
      let (one, other) = (before[number], keyspace[number])
      var differences: [String] = []
      if one?.keys ?? 0 != other?.keys ?? 0 {
        differences.append(
          "db \(number), keys: recorded \(one?.keys ?? 0), found \(other?.keys ?? 0)")
      }
      if one?.expires ?? 0 != other?.expires ?? 0 {
        differences.append(
          "db \(number), keys with an expiry: recorded \(one?.expires ?? 0), found "
            + "\(other?.expires ?? 0)")
      }
      return differences
    }
  }
}
