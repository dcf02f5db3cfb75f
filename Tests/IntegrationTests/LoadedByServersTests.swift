import BackupTypes
import RedisFormats
import TestSupport
import Testing

/// A damaged RDB without a checksum is called broken exactly if its server refuses it. The files have packed
/// or compressed values with one damaged byte. None that the server refuses is called good, and none that it
/// loads is called broken.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct LoadedByServersTests {
  private static let mutants = 40

  @Test(arguments: ServerVersion.allCases, [true, false])
  func `broken is what the server refuses`(version: ServerVersion, isCompressed: Bool) async throws
  {
    let folder = try TemporaryDirectory("lb")
    let file = try await write(version, isCompressed, to: folder.makeDirectory("source"))
    let ranges = valueRanges(file)
    #expect(ranges.count >= 4)
    var generator = SeededRandom(seed: 57)
    var counts = (loaded: 0, refused: 0)
    for number in 0..<LoadedByServersTests.mutants {
      var mutant = file
      // Each value is damaged equally often, and often in its head with the sizes and counts.
      let range = ranges[number % ranges.count]
      let end = number % 3 == 0 ? min(range.upperBound, range.lowerBound + 16) : range.upperBound
      let at = Int.random(in: range.lowerBound..<end, using: &generator)
      let byte =
        number % 2 == 0 ? mutant[at] ^ 1 << UInt8(number / 2 % 8) : UInt8(number * 37 & 255)
      guard byte != mutant[at] else { continue }
      mutant[at] = byte
      let verdict = walk(mutant)
      let refusal = try await refusal(version, mutant, folder.makeDirectory("mutant-\(number)"))
      let words = "\(version), byte \(at) is \(byte): \(verdict), server: \(refusal ?? "loads it")"
      switch verdict {
      case .ended: #expect(refusal == nil, "\(words)")
      case .malformed: #expect(refusal != nil, "\(words)")
      // Lifeboat does not call the file good, so the server may do either.
      case .unknown, .walking: break
      }
      if refusal == nil { counts.loaded += 1 } else { counts.refused += 1 }
    }
    #expect(counts.loaded > 3 && counts.refused > 0, "\(version): \(counts)")
  }

  /// Names differ in two bytes, so damage to one byte can't make an element occur twice. The walker does not
  /// check for that. For the same reason, values whose elements must differ are not compressed.
  private func write(
    _ version: ServerVersion, _ isCompressed: Bool, to directory: String
  ) async throws -> [UInt8] {
    let server = try await RedisServer.start(
      version, directory: directory,
      options: [
        "rdbchecksum": "no", "rdbcompression": isCompressed ? "yes" : "no",
        "list-max-ziplist-size": "6",
      ])
    defer { server.kill() }
    func name(_ number: Int) -> String {
      String(repeating: String(Character(UnicodeScalar(UInt8(97 + number)))), count: 4)
    }
    for number in 0..<14 {
      try server.command("RPUSH", "list", number % 3 == 0 ? "\(number * 70_000)" : name(number))
      try server.command(
        "XADD", "stream", "\(number + 1)-0", "field", name(number), "n", "\(number)")
      if isCompressed {
        try server.command(
          "SET", "string:\(number % 3)", String(repeating: name(number), count: 40))
      } else {
        try server.command("HSET", "hash", name(number), "\(number * 1000)")
        try server.command("ZADD", "zset", "\(number).5", name(number))
        // A small set is packed since Redis 7.2.
        try server.command("SADD", "set", name(number))
        try server.command("SADD", "intset", "\(number * 300 - 50)")
        guard version.hasFieldExpiry else { continue }
        try server.command("HSET", "expiring", name(number), "v")
      }
    }
    if version.hasFieldExpiry, !isCompressed {
      try server.command("HPEXPIRE", "expiring", "100000000000", "FIELDS", "1", name(1))
    }
    try await server.save()
    return try TestFiles.read(directory + "/dump.rdb")
  }

  private func valueRanges(_ file: [UInt8]) -> [Range<Int>] {
    var walker = RDBWalker(choosing: KeySampling(seed: 1), countMax: 100)
    _ = file.withUnsafeBytes { walker.consume($0) }
    _ = walker.finish()
    return (walker.keyPlaces?.places ?? []).sorted { $0.value.lowerBound < $1.value.lowerBound }
      .map { Int($0.value.lowerBound)..<Int($0.value.upperBound) }
  }

  private func walk(_ file: [UInt8]) -> RDBWalker.State {
    var walker = RDBWalker()
    _ = file.withUnsafeBytes { walker.consume($0) }
    return walker.finish()
  }

  /// The error of a server that does not load `file`; nil if it loads.
  private func refusal(
    _ version: ServerVersion, _ file: [UInt8], _ directory: String
  ) async throws -> String? {
    try TestFiles.write(file, to: directory + "/dump.rdb")
    do {
      let server = try await RedisServer.start(version, directory: directory)
      server.kill()
      return nil
    } catch let failure as RedisServer.StartFailure {
      let lines = failure.log.split(separator: "\n").map(String.init)
      return lines.first { $0.has("RDB reading") || $0.has("ASSERTION") } ?? "\(failure.end)"
    }
  }
}
