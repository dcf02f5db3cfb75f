import BackupFormat
import BackupTypes
import Glibc
import RepositoryAccess
import TestSupport
import Testing

/// Encrypted repositories, through the binary: correct use and mistakes, what is in the store, and that the
/// key does not appear anywhere.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct EncryptionTests {
  private static let marker = "a-value-that-nobody-may-read"

  /// A Redis with a dump, a rewritten AOF and two log objects after it, shipped to an encrypted repository.
  private static func backup(_ version: ServerVersion = .v7_4, appendOnly: Bool = true) async throws
    -> (place: Place, expected: Dataset)
  {
    let place = try Place.encrypted()
    let server = try await RedisServer.start(
      version, directory: place.data,
      options: ["appendonly": appendOnly ? "yes" : "no", "appendfsync": "always"])
    defer { _ = server.kill() }
    func fill(_ prefix: String) throws {
      for index in 1...50 {
        try server.command("SET", "\(prefix)-\(marker)-key:\(index)", "\(marker) \(index)")
      }
    }
    try fill("first")
    if appendOnly { try await server.rewriteAOF() }
    try await server.save()
    try await place.shipOnce("--compression", "none")
    try fill("second")
    if !appendOnly { try await server.save() }
    try await place.shipOnce()
    if appendOnly {
      try fill("third")
      try await place.shipOnce()
    }
    return (place, try await server.dataset())
  }

  private func changed(_ place: Place, key: String?) -> Place {
    var place = place
    place.environment[KeySource.variable] = key
    return place
  }

  // MARK: The main job

  @Test(arguments: ServerVersion.allCases, [true, false])
  func `ship, lose the volume, restore with the key: equal`(
    version: ServerVersion, appendOnly: Bool
  ) async throws {
    let (place, expected) = try await Self.backup(version, appendOnly: appendOnly)
    TestFiles.remove(place.data)
    let restored = try await place.restore(into: "restored", "--if-empty", "--if-backup-exists")
    let server = try await RedisServer.start(
      version, directory: restored, options: ["appendonly": appendOnly ? "yes" : "no"])
    #expect(try await expected.difference(to: server.dataset(), limit: 5) == [])
  }

  @Test func `nothing of the data stands in the repository, in a name or in an object`()
    async throws
  {
    let (place, _) = try await Self.backup()
    let listed = try await place.run("list", ["--json"])
    #expect(listed.jsonText("cipher") == "aes-256-gcm", "\(listed)")
    let files = TestFiles.tree(place.repository)
    #expect(files.contains { $0.contains("/log/") } && files.contains { $0.hasSuffix("/index") })
    for file in files {
      #expect(!file.contains(Self.marker))
      let bytes = try TestFiles.read(place.repository + "/" + file)
      // Words from Redis's files, their names and our records, too.
      for word in [Self.marker, "appendonly", "dump.rdb", "REDIS00", "*3\r\n", "\"timeline\""] {
        #expect(!contains(bytes, word), "\(file) holds \(word)")
      }
      if file != "lifeboat.json" {
        #expect(bytes[11] == (file.hasPrefix("keys/") ? 0 : 1), "\(file) has another cipher")
      }
    }
    // The same without encryption, to show that the search finds these words.
    let clear = try Place()
    try TestFiles.copyTree(place.data, to: clear.data)
    try await clear.shipOnce("--compression", "none")
    let all = try TestFiles.tree(clear.repository).flatMap {
      try TestFiles.read(clear.repository + "/" + $0)
    }
    #expect(
      contains(all, Self.marker) && contains(all, "dump.rdb") && contains(all, "\"timeline\""))
  }

  private func contains(_ bytes: [UInt8], _ text: String) -> Bool {
    contains(bytes, Array(text.utf8))
  }

  private func contains(_ bytes: [UInt8], _ word: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { all in
      var start = 0
      while all.count - start >= word.count,
        let found = memchr(all.baseAddress! + start, Int32(word[0]), all.count - start)
      {
        start = found - UnsafeMutableRawPointer(mutating: all.baseAddress!)
        if all[start...].starts(with: word) { return true }
        start += 1
      }
      return false
    }
  }

  @Test func `a restart of the shipper sends nothing again`() async throws {
    let place = try Place.encrypted()
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try server.command("SET", "first", "1")
    for round in 1...3 {
      let ship = try place.ship("--ship-interval", "200ms", "--dump-interval", "0")
      try server.command("SET", "round", "\(round)")
      try await eventually(
        deadline: 60, "what was written is durable",
        condition: {
          let size = try place.bytesOfAOF()
          return place.bytesOfLog() >= size
        }, state: { ship.errorText })
      if round == 2 { _ = ship.kill() } else { _ = try await ship.terminate() }
    }
    let (size, generations) = (try place.bytesOfAOF(), place.objects { $0.hasSuffix("/index") })
    #expect(place.bytesOfLog() == size, "bytes of the log were sent twice")
    let before = try contents(place.repository)
    try await place.shipOnce()
    #expect(try contents(place.repository).keys.sorted() == before.keys.sorted())
    #expect(place.objects { $0.hasSuffix("/index") } == generations)
    #expect(place.objects { $0.hasPrefix("keys/") } == 1)
    _ = server.kill()
    let restored = try await place.restore(into: "restored")
    let again = try await RedisServer.start(
      .v7_4, directory: restored, options: ["appendonly": "yes"])
    #expect(try again.command("GET", "round").string == "3")
  }

  // MARK: Wrong and missing keys

  @Test func `a wrong or a missing key is exit 8, with the way out, for every command`()
    async throws
  {
    let (right, _) = try await Self.backup()
    let before = try contents(right.repository)
    let wrong = Place.newKey()
    for (key, words) in [
      (nil, "--encryption-key-file or LIFEBOAT_ENCRYPTION_KEY"), (wrong, "does not open"),
    ] as [(String?, String)] {
      let place = changed(right, key: key)
      let target = try place.folder.makeDirectory("target")
      for arguments in [
        ["restore", "--if-empty", "--if-backup-exists", "--data", target],
        ["restore", "--data", target, "--dry-run"], ["list"], ["inspect"], ["unpin", "--all"],
        ["doctor"], ["ship", "--once", "--data", place.data],
      ] {
        let result = try await place.run(arguments[0], Array(arguments.dropFirst()) + ["--json"])
        #expect(result.exit == .wrongKey, "\(result)")
        #expect("\(result)".contains(words), "\(result)")
        #expect(
          !"\(result)".contains("no backup") && !"\(result)".contains("never had"), "\(result)")
        if let key { #expect(!"\(result)".contains(key.suffix(73)), "the key is shown: \(result)") }
      }
      #expect(TestFiles.tree(target).isEmpty)
    }
    #expect(try contents(right.repository).keys.sorted() == before.keys.sorted())
  }

  @Test func `with data there a restore needs no key, whatever is wrong with it`() async throws {
    let (place, _) = try await Self.backup()
    for key in [nil, "nonsense", Place.newKey()] {
      let result = try await changed(place, key: key).run(
        "restore", ["--if-empty", "--if-backup-exists", "--data", place.data])
      #expect(result.exitCode == 0, "\(result)")
    }
  }

  @Test func `a key for a repository in the clear is refused, and nothing is written`() async throws
  {
    let place = try Place()
    try Volume.writeDump(in: place.data)
    try await place.shipOnce()
    let before = try contents(place.repository)
    let keyed = changed(place, key: Place.newKey())
    let target = try place.folder.makeDirectory("target")
    for arguments in [
      ["ship", "--once", "--data", place.data], ["list"], ["restore", "--data", target],
    ] {
      let result = try await keyed.run(arguments[0], Array(arguments.dropFirst()))
      #expect(result.exit == .wrongKey && result.errorText.contains("not encrypted"), "\(result)")
    }
    #expect(try contents(place.repository) == before)
  }

  @Test func `a key that can't be read never makes a repository in the clear`() async throws {
    let place = try Place()
    try Volume.writeDump(in: place.data)
    let (empty, typo) = (place.folder("empty"), place.folder("typo"))
    try TestFiles.write("", to: empty)
    try TestFiles.write(String(Place.newKey().dropLast()) + "x\n", to: typo)
    let target = try place.folder.makeDirectory("target")
    for (file, exit) in [
      (place.folder("absent"), ExitCode.wrongKey), (empty, .wrongKey), (typo, .usage),
      (place.folder.path, .wrongKey), ("", .wrongKey), (Place.newKey(), .usage),
    ] {
      for arguments in [
        ["ship", "--once", "--data", place.data],
        ["restore", "--if-empty", "--if-backup-exists", "--data", target],
      ] {
        let result = try await place.run(
          arguments[0], Array(arguments.dropFirst()) + ["--encryption-key-file", file])
        #expect(result.exit == exit, "\(result)")
        if EncryptionKey.isLikely(file) { #expect(!result.errorText.contains(file), "\(result)") }
      }
    }
    #expect(TestFiles.tree(place.repository).isEmpty)
  }

  @Test func `a sidecar with a wrong key stays up, says so, and goes on when it is mended`()
    async throws
  {
    let (place, _) = try await Self.backup()
    let file = place.folder("key")
    let right = try #require(place.environment[KeySource.variable])
    try TestFiles.write(Place.newKey(), to: file)
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try server.command("SET", "later", "1")
    let without = changed(place, key: nil)
    let port = try freePorts(1)[0]
    let ship = try without.ship(
      "--encryption-key-file", file, "--admin-listen", "127.0.0.1:\(port)")
    try await eventually(
      deadline: 60, "it says that the key is wrong",
      condition: {
        try #require(ship.end == nil, "\(ship.errorText)")
        return ship.errorText.contains("shipping is blocked")
          && ship.errorText.contains("does not open")
      }, state: { ship.errorText })
    let status = try await LifeboatCommand.run(
      ["status", "--json", "--admin-listen", "127.0.0.1:\(port)"])
    #expect(status.jsonText("state") == "blocked", "\(status)")
    #expect(status.jsonText("reason")?.contains("key") == true, "\(status)")
    TestFiles.remove(file)
    try TestFiles.write(right + "\n", to: file)
    try await eventually(
      deadline: 60, "it ships",
      condition: {
        // Any change wakes the shipper.
        try server.command("INCR", "ticks")
        return ship.errorText.contains("claimed a timeline")
      }, state: { ship.errorText })
    _ = try await server.shutdown()
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    let restored = try await place.restore(into: "restored")
    let again = try await RedisServer.start(
      .v7_4, directory: restored, options: ["appendonly": "yes"])
    #expect(try again.command("GET", "later").string == "1")
  }

  @Test func `a sidecar with no key at all stays up beside an encrypted repository`() async throws {
    let (right, _) = try await Self.backup()
    let server = try await RedisServer.start(
      .v7_4, directory: right.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try server.command("SET", "later", "1")
    let before = try contents(right.repository)
    let ship = try changed(right, key: nil).ship()
    try await eventually(
      deadline: 60, "it says what is missing",
      condition: {
        try #require(ship.end == nil, "\(ship.errorText)")
        return ship.errorText.contains("--encryption-key-file or LIFEBOAT_ENCRYPTION_KEY")
      }, state: { ship.errorText })
    _ = server.kill()
    let end = try await ship.terminate()
    #expect(end.exit == .failure && end.errorText.contains("unshipped"), "\(end)")
    #expect(try contents(right.repository) == before)
  }

  // MARK: Damage

  /// Two intact objects are swapped, so neither matches its name.
  @Test(arguments: ["/log/", "/snapshots/", "generations/"])
  func `two objects that were swapped are found, and named`(kind: String) async throws {
    let (place, _) = try await Self.backup()
    let found = TestFiles.tree(place.repository).filter {
      $0.contains(kind) && !$0.hasSuffix("/index")
    }
    try #require(found.count > 1, "\(found)")
    let (one, two) = (place.repository + "/" + found[0], place.repository + "/" + found.last!)
    let bytes = (try TestFiles.read(one), try TestFiles.read(two))
    try TestFiles.write(bytes.1, to: one)
    try TestFiles.write(bytes.0, to: two)
    let target = try place.folder.makeDirectory("target")
    let result = try await place.run("restore", ["--data", target])
    #expect(result.exit == .corrupt, "\(result)")
    #expect(
      result.errorText.contains(found[0]) || result.errorText.contains(found.last!), "\(result)")
    #expect(result.errorText.contains("authentication"), "\(result)")
    #expect(TestFiles.tree(target).filter { !$0.hasPrefix(".lifeboat-restore/") }.isEmpty)
  }

  @Test func `a repository without its slot, or with a damaged one, is damage and named`()
    async throws
  {
    let (place, _) = try await Self.backup()
    let slot = try #require(TestFiles.tree(place.repository + "/keys").first)
    let path = place.repository + "/keys/" + slot
    let whole = try TestFiles.read(path)
    let target = try place.folder.makeDirectory("target")
    for content in [Array(whole.dropLast()), nil] {
      TestFiles.remove(path)
      if let content { try TestFiles.write(content, to: path) }
      for key in [place.environment[KeySource.variable], Place.newKey()] {
        let result = try await changed(place, key: key).run(
          "restore", ["--if-empty", "--if-backup-exists", "--data", target])
        #expect(result.exit == .corrupt && result.errorText.contains("keys/"), "\(result)")
      }
    }
    try TestFiles.write(whole, to: path)
    try await place.restore(into: "restored")
  }

  // MARK: The key

  @Test func `keygen prints a key, only on standard output, and no two alike`() async throws {
    var keys: Set<String> = []
    for _ in 1...3 {
      let result = try await LifeboatCommand.run(["keygen"])
      #expect(result.exitCode == 0, "\(result)")
      let line = result.outputText.split(separator: "\n")
      #expect(line.count == 1 && result.outputText.hasSuffix("\n"), "\(result)")
      _ = try EncryptionKey(parsing: result.output, origin: "keygen")
      #expect(!result.errorText.contains(line[0]) && result.errorText.contains("two copies"))
      keys.insert(String(line[0]))
    }
    let document = try await LifeboatCommand.run(["keygen", "--json"])
    let text = try #require(document.jsonText("key"), "\(document)")
    _ = try EncryptionKey(parsing: Array(text.utf8), origin: "keygen")
    #expect(keys.union([text]).count == 4)
  }

  @Test func `the key of a file and of the environment are the same key`() async throws {
    let (place, _) = try await Self.backup()
    let key = try #require(place.environment[KeySource.variable])
    let file = place.folder("key")
    try TestFiles.write(key + "\n", to: file)
    let without = changed(place, key: nil)
    for result in [
      try await without.run("list", ["--encryption-key-file", file]),
      try await place.run("list", ["--encryption-key-file", file]),
      try await LifeboatCommand.run(
        ["list", "--repo", place.repository],
        environment: ["LIFEBOAT_ENCRYPTION_KEY_FILE": file]),
    ] { #expect(result.exitCode == 0 && !result.errorText.contains("warning"), "\(result)") }
    let differs = try await changed(place, key: Place.newKey()).run(
      "list", ["--encryption-key-file", file])
    #expect(differs.exit == .usage, "\(differs)")
  }

  @Test func `the key is in no output, log, status or file`() async throws {
    let place = try Place.encrypted()
    let key = try #require(place.environment[KeySource.variable])
    let digits = String(key.dropFirst(15).prefix(64))
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try server.command("SET", "key", "value")
    let port = try freePorts(1)[0]
    let address = "127.0.0.1:\(port)"
    let ship = try place.ship("--json", "--log-format", "json", "--admin-listen", address)
    try await eventually(
      deadline: 60, "it ships", condition: { await place.newest() != nil },
      state: { ship.errorText })
    var texts = [
      try await LifeboatCommand.run(["status", "--json", "--admin-listen", address]).description
    ]
    _ = try await server.shutdown()
    texts.append(try await ship.terminate().description)
    let target = try place.folder.makeDirectory("target")
    for arguments in [
      ["list"], ["list", "--json"], ["inspect"], ["doctor"], ["doctor", "--json"],
      ["restore", "--data", target, "--json"], ["unpin", "--all"],
    ] {
      let result = try await place.run(arguments[0], Array(arguments.dropFirst()))
      #expect(result.exitCode == 0, "\(result)")
      texts.append(result.description)
    }
    for text in texts { #expect(!text.contains(digits), "\(text)") }
    let keyBytes = try #require(BackupTypes.bytes(hexadecimal: digits) as [UInt8]?)
    for folder in [place.repository, target, place.data] {
      for file in TestFiles.tree(folder) {
        let content = try TestFiles.read(folder + "/" + file)
        #expect(!contains(content, digits), "\(file)")
        #expect(!contains(content, keyBytes), "\(file)")
      }
    }
  }
}
