import BackupTypes
import Glibc
import SystemIO
import TestSupport
import Testing

/// Runs every line of the runbooks in docs/operations unchanged, on a stage where the page's incident has
/// happened. Afterwards, what the page promises has to be true.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct RunbookTests {
  /// A stage that has shipped a Redis with some keys, and the dataset.
  private func stage(_ name: String = "first:", key: Bool = false) async throws -> (
    RunbookStage, Dataset
  ) {
    let stage = try await RunbookStage(key: key)
    try await stage.start()
    try stage.server?.fill(name, 1...300)
    try stage.server?.command("RPUSH", "list", "a", "b", "c")
    try await stage.sync()
    return (stage, try await stage.dataset())
  }

  private func expect(
    _ expected: Dataset, _ stage: RunbookStage, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let found = try await stage.dataset()
    #expect(expected.difference(to: found, limit: 3) == [], sourceLocation: sourceLocation)
  }

  private func texts(_ ran: [RunbookStage.Ran], _ command: String) -> [String] {
    ran.filter { $0.line.text.hasPrefix(command) }.map(\.text)
  }

  @Test func `flushed: what was there before FLUSHALL is there again`() async throws {
    let (stage, before) = try await stage()
    try stage.server?.command("FLUSHALL")
    try stage.server?.command("SET", "life", "goes on")
    try await stage.sync()
    let ran = try await stage.perform("flushed.md")
    try await expect(before, stage)
    #expect(texts(ran, "redis-cli DBSIZE") == ["1\n", "301\n"])
    #expect(texts(ran, "redis-cli -p 6390 DBSIZE") == ["301\n"])
    #expect(texts(ran, "lifeboat unpin").first?.contains("released: p") == true, "\(ran)")
    #expect(texts(ran, "lifeboat list").first?.contains("abandoned branch") == true, "\(ran)")
  }

  @Test func `ray-cluster-deleted: the namespace is there again, with its actors`() async throws {
    let stage = try await RunbookStage()
    try await stage.start()
    let client = try #require(try stage.server?.connect())
    try RayLike.load(client, from: 1, to: 200)
    let before = try await stage.dataset()
    for key in RayLike.strings(try client.run(["KEYS", "RAYblue*"])) {
      _ = try client.run(["UNLINK", key])
    }
    try await stage.sync()
    let ran = try await stage.perform("ray-cluster-deleted.md")
    try await expect(before, stage)
    let inspected = texts(ran, "lifeboat inspect")
    try #require(inspected.count == 3)
    #expect(inspected[0].contains("removed one by one") && !inspected[0].contains("blue-1"))
    #expect(inspected[1].contains("namespace blue-1: ") && inspected[2].contains("blue-1: "))
    // As the page warns, `--before UNLINK` only brings back the last key.
    let last = try await stage.place.restore(into: "last", "--before", "UNLINK", "--timeline", "1")
    let server = try await RedisServer.start(
      .v7_0, directory: last, options: ["appendonly": "yes"])
    #expect(RayLike.strings(try server.command("KEYS", "RAYblue*")).count == 1)
    server.kill()
  }

  @Test func `empty-backups: it asks, the state before is handed over, and then it no longer asks`()
    async throws
  {
    let (stage, before) = try await stage()
    try await stage.stop()
    try stage.loseClaim()
    try await nextSecond()  // Two empty BASEs of one second are the same bytes.
    // As 30 s after a clean shutdown. Until then, only the directory of that shutdown may continue.
    try await stage.start(restores: false, takesOver: true)
    try stage.server?.fill("little:", 1...3)
    try await stage.sync()
    let ran = try await stage.perform("empty-backups.md")
    try await expect(before, stage)
    #expect(
      texts(ran, "lifeboat list").first?.contains(
        "The newest state may be the result of an accident") == true, "\(ran)")
    let trials = texts(ran, "lifeboat restore").filter { $0.contains("would restore") }
    #expect(trials.count == 2 && trials[1].contains("would restore 3."), "\(trials)")
    #expect(try TestFiles.text(stage.desk + "/report.html").hasPrefix("<!doctype html>"))
  }

  @Test func `volume-lost: the pod fills the new claim before Redis starts`() async throws {
    let (stage, before) = try await stage()
    stage.kill()
    let ran = try await stage.perform("volume-lost.md")
    try await expect(before, stage)
    let lists = texts(ran, "lifeboat list")
    #expect(lists.count == 2 && lists[1].contains("newest restore point: 2."), "\(lists)")
    #expect(!lists[1].contains("suspect"), "\(lists)")
  }

  @Test func `account-lost: the copy is restored, and becomes the live repository`() async throws {
    let (stage, before) = try await stage()
    let copy = stage.place.folder("copy")
    let copied = try await stage.place.run("copy", ["--to", copy])
    try #require(copied.exitCode == 0, "\(copied)")
    stage.kill()
    TestFiles.remove(stage.repository)
    stage.repository = copy
    try stage.loseClaim()
    // The manifest has the URL of the copy, and the pod starts.
    try await stage.start()
    try await expect(before, stage)
    try await stage.write()
    let ran = try await stage.perform("account-lost.md")
    let lists = texts(ran, "lifeboat list")
    #expect(lists.count == 2 && lists[1].contains("newest restore point: 2."), "\(lists)")
  }

  @Test func `wrong-restore: both states are there, and either can be had again`() async throws {
    let (stage, _) = try await stage()
    let early = try #require(await stage.place.newest())
    try stage.server?.fill("late:", 1...300)
    try await stage.sync()
    let late = try await stage.dataset()
    try await stage.stop()
    let wrong = try await stage.place.run(
      "restore", ["--data", stage.claim, "--replace", "--point", early])
    try #require(wrong.exitCode == 0, "\(wrong)")
    try await stage.start()
    try stage.server?.fill("astray:", 1...20)
    try await stage.sync()
    let astray = try await stage.dataset()
    let ran = try await stage.perform("wrong-restore.md")
    try await expect(late, stage)
    let lists = texts(ran, "lifeboat list")
    #expect(lists.count == 2 && lists[0].contains("  branch\n"), "\(lists)")
    #expect(lists[1].contains("timeline 3"), "\(lists)")
    // The way back that the page describes.
    let back = try await stage.place.restore(into: "back", "--timeline", "2")
    let server = try await RedisServer.start(
      .v7_0, directory: back, options: ["appendonly": "yes"])
    #expect(astray.difference(to: try await server.dataset(), limit: 3) == [])
    server.kill()
  }

  @Test func `between-windows: the error names both sides, and they are what Redis held`()
    async throws
  {
    let (stage, before) = try await stage()
    try await stage.stopShipping()
    try stage.server?.fill("unseen:", 1...10)
    try await nextSecond()
    stage.examples["2026-11-22T14:02:00Z"] = "\(time(nil))"
    try await nextSecond()
    for _ in 1...2 { try await stage.server?.rewriteAOF() }
    let behind = try await stage.dataset()
    try stage.startShipping()
    try await stage.sync()
    let ran = try await stage.perform("between-windows.md")
    try await expect(before, stage)
    let refused = ran.filter { $0.code == 3 }.map(\.text)
    try #require(refused.count == 2)
    #expect(refused[0].contains("lies between two recovery windows"), "\(refused)")
    #expect(refused[1].contains("there is no restore point at or before"), "\(refused)")
    let server = try await RedisServer.start(
      .v7_0, directory: stage.desk + "/after", options: ["appendonly": "yes"])
    #expect(behind.difference(to: try await server.dataset(), limit: 3) == [])
    server.kill()
  }

  @Test func `bucket-grows: more than half is announced, then confirmed, and the newest stays`()
    async throws
  {
    let folder = try TemporaryDirectory("week")
    try await MadeHistories.week(folder("repository"), now: SystemClock.now())
    let stage = try await RunbookStage(repository: folder("repository"))
    let ran = try await stage.perform("bucket-grows.md")
    let runs = texts(ran, "lifeboat prune")
    try #require(runs.count == 5)
    #expect(runs[1].contains("would"), "\(runs)")
    #expect(runs[2].contains("more than half"), "\(runs)")
    #expect(runs[4].contains("nothing to delete"), "\(runs)")
    let lists = texts(ran, "lifeboat list").map { $0.split(separator: "\n") }
    try #require(lists.count == 2 && lists.allSatisfy { $0.count > 2 })
    #expect(lists[0][1] != lists[1][1] && lists[0][2] == lists[1][2], "\(lists)")
  }

  @Test func `damaged: it is found, a new full copy is made, and the drill passes`() async throws {
    let (stage, before) = try await stage()
    try await stage.server?.rewriteAOF()
    try await stage.sync()
    let pieces = TestFiles.tree(stage.repository).filter {
      $0.hasPrefix("generations/") && !$0.hasSuffix("/index")
    }
    for piece in pieces {
      let path = stage.repository + "/" + piece
      var bytes = try TestFiles.read(path)
      bytes[bytes.count / 2] ^= 0x10
      try TestFiles.write(bytes, to: path)
    }
    let ran = try await stage.perform("damaged.md")
    try await expect(before, stage)
    #expect(texts(ran, "lifeboat verify").first?.contains("quarantined: ") == true, "\(ran)")
    #expect(texts(ran, "lifeboat list").first?.contains("Found damaged") == true, "\(ran)")
    let server = try await RedisServer.start(
      .v7_0, directory: stage.desk + "/restored", options: ["appendonly": "yes"])
    #expect(before.difference(to: try await server.dataset(), limit: 3) == [])
    server.kill()
  }

  @Test func `key-lost: no key and a wrong one are exit 8, and a new repository begins`()
    async throws
  {
    let (stage, before) = try await stage(key: true)
    try TestFiles.write(Place.newKey(), to: stage.desk + "/wrong.key")
    let old = stage.repository
    let ran = try await stage.perform("key-lost.md")
    try await expect(before, stage)
    #expect(ran.count { $0.code == 8 } == 2)
    #expect(stage.repository != old)
    #expect(texts(ran, "lifeboat verify").first?.contains("sound") == true, "\(ran)")
    let key = try TestFiles.text(stage.desk + "/new.key")
    #expect(try TestFiles.text(stage.desk + "/copy.key") != key)
  }

  @Test func `key-leaked: another key opens the repository, and the old one does not`()
    async throws
  {
    let (stage, before) = try await stage(key: true)
    let old = try #require(TestFiles.list(stage.repository + "/keys").first)
    stage.examples["OLD_ID"] = old
    let ran = try await stage.perform("key-leaked.md")
    try await expect(before, stage)
    #expect(texts(ran, "lifeboat key list").first?.contains("\(old)  ") == true, "\(ran)")
    #expect(ran.count { $0.code == 8 } == 1)
    #expect(!TestFiles.list(stage.repository + "/keys").contains(old))
  }

  @Test func `the index: a state is handed over on a machine, and in a cluster into a new claim`()
    async throws
  {
    let (stage, before) = try await stage()
    let claim = stage.claim
    _ = try await stage.perform("README.md")
    try await expect(before, stage)
    #expect(stage.claim != claim)
  }
}
