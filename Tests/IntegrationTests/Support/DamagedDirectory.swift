import TestSupport

/// A server's data directory in one of several forms, and the ways to damage it.
struct DamagedDirectory: Sendable {
  var version: ServerVersion
  var form: Form

  enum Form: String, CaseIterable, Sendable {
    case dump
    /// A BASE that is an RDB, and an INCR.
    case set
    /// The same with a second INCR, as after a failed rewrite.
    case twoIncrements
    /// A BASE of commands, and an INCR.
    case commands
    /// One file with the full copy followed by commands, as Redis 6 writes it.
    case single
  }

  enum Change: CaseIterable, Sendable {
    case nothing, cutLast, cutFirst, cutToNothing, flip, zeros, cutAndZeros, junk, removed, manifest
    case annotation, innerAnnotation, openTransaction, tornTransaction, discarded, innerTear

    /// `docs/restore.md` explains why this is called broken although some servers load it.
    var isAgreed: Bool { self == .cutAndZeros }
  }

  func can(_ change: Change) -> Bool {
    switch change {
    // Redis 6 has no annotations.
    case .annotation: form != .dump && version.hasMultiPartAOF
    case .innerAnnotation, .innerTear: form == .twoIncrements
    case .openTransaction, .tornTransaction, .discarded: form != .dump
    case .manifest: form != .dump && form != .single
    // No reader can know what a damaged command was.
    case .flip: form != .commands
    default: true
    }
  }

  func write(to directory: String) async throws -> String {
    let isAOF = form != .dump
    var options = [
      "appendonly": isAOF ? "yes" : "no", "appendfsync": "always",
      "aof-use-rdb-preamble": form == .commands ? "no" : "yes",
    ]
    if version.hasMultiPartAOF { options["aof-timestamp-enabled"] = "yes" }
    let server = try await RedisServer.start(version, directory: directory, options: options)
    defer { server.kill() }
    for number in 0..<30 {
      try server.command("SET", "string:\(number)", String(repeating: "v\(number)", count: 20))
      try server.command("RPUSH", "list:\(number % 3)", "item\(number)")
    }
    if isAOF {
      try await server.rewriteAOF()
      for number in 0..<12 { try server.command("SET", "later:\(number)", "value") }
    } else {
      try await server.save()
    }
    server.kill()
    let inner = directory + "/appendonlydir"
    if form == .single, version.hasMultiPartAOF {
      let files = names(directory)
      let bytes = try files.flatMap { try TestFiles.read($0) }
      TestFiles.remove(inner)
      try TestFiles.write(bytes, to: directory + "/appendonly.aof")
    }
    if form == .twoIncrements {
      let more = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n" + set("last:1") + set("last:2")
      try TestFiles.write(more, to: inner + "/appendonly.aof.3.incr.aof")
      try TestFiles.append(
        Array("file appendonly.aof.3.incr.aof seq 3 type i\n".utf8),
        to: inner + "/appendonly.aof.manifest")
    }
    return directory
  }

  private func set(_ key: String) -> String {
    "*3\r\n$3\r\nSET\r\n$\(key.utf8.count)\r\n\(key)\r\n$1\r\nv\r\n"
  }

  /// The files that hold data, in the order in which they are loaded.
  private func names(_ data: String) -> [String] {
    let inner = data + "/appendonlydir"
    switch form {
    case .dump: return [data + "/dump.rdb"]
    case .single where !TestFiles.exists(inner): return [data + "/appendonly.aof"]
    default:
      let names = TestFiles.list(inner).filter { !$0.hasSuffix("manifest") }
      let bases = names.filter { $0.contains(".base.") }
      return (bases + names.filter { !$0.contains(".base.") }.sorted()).map { inner + "/" + $0 }
    }
  }

  /// Damages the directory and returns what was changed.
  func damage(_ data: String, _ change: Change, _ random: inout SeededRandom) throws -> String {
    let files = names(data)
    guard let first = files.first, let last = files.last else { throw HarnessError("no files") }
    switch change {
    case .nothing: return ""
    case .cutLast, .cutFirst: return try cut(change == .cutLast ? last : first, &random)
    case .cutToNothing:
      try TestFiles.truncate(first, to: 0)
      return "\(first) emptied"
    case .flip:
      var bytes = try TestFiles.read(first)
      // Within the RDB, which has more than 400 bytes, also in a single file.
      let at = Int.random(in: 0..<min(bytes.count, 400), using: &random)
      bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      try TestFiles.write(bytes, to: first)
      return "byte \(at) of \(first)"
    case .zeros: return try zeros(behind: last, &random)
    case .cutAndZeros: return try cut(last, &random) + ", then " + zeros(behind: last, &random)
    case .junk: return try append("junk\r\n", to: last)
    case .removed:
      let file = files[Int.random(in: 0..<files.count, using: &random)]
      TestFiles.remove(file)
      return "\(file) removed"
    case .manifest: return try cut(data + "/appendonlydir/appendonly.aof.manifest", &random)
    case .annotation: return try append("#TS:17000", to: last)
    case .innerAnnotation: return try append("#TS:17000", to: files[1])
    case .innerTear: return try cut(files[1], &random)
    case .openTransaction: return try append(multi + set("string:new"), to: last)
    case .tornTransaction:
      return try append(multi + String(set("string:new").dropLast()), to: last)
    // A loader queues DISCARD, so what follows it is lost with the transaction.
    case .discarded:
      return try append(
        multi + set("string:new") + "*1\r\n$7\r\nDISCARD\r\n" + set("string:newer"), to: last)
    }
  }

  private var multi: String { "*1\r\n$5\r\nMULTI\r\n" }

  private func cut(_ path: String, _ random: inout SeededRandom) throws -> String {
    let size = try TestFiles.size(path)
    let left = Int.random(in: 1..<size, using: &random)
    try TestFiles.truncate(path, to: left)
    return "\(path) cut to \(left) of \(size)"
  }

  private func zeros(behind path: String, _ random: inout SeededRandom) throws -> String {
    let count = Int.random(in: 1...64, using: &random)
    try TestFiles.append([UInt8](repeating: 0, count: count), to: path)
    return "\(count) zero bytes behind \(path)"
  }

  private func append(_ text: String, to path: String) throws -> String {
    try TestFiles.append(Array(text.utf8), to: path)
    return "\(text.utf8.count) bytes behind \(path)"
  }
}
