import BackupTypes
import Glibc
import HTTPTransport
import TestSupport
import Testing

/// What a cluster and a person in the pod see of a running shipper.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct SeenFromOutsideTests {
  @Test func `a start that may be an accident is shown until somebody accepts it`() async throws {
    let place = try Place()
    let first = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes"])
    try first.fill("kept:", 1...100)
    first.kill()
    try await place.shipOnce()
    TestFiles.remove(place.data)
    try TestFiles.makeDirectory(place.data)
    try await nextSecond()  // two empty BASEs of one second are the same bytes
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes"])
    try server.command("SET", "key", "value")
    let shown = try Shown(place)
    try await eventually(
      deadline: 60, "the start is suspect",
      condition: { (try? await shown.metric("lifeboat_suspect")) == 1 },
      state: { shown.command.errorText })
    #expect(try await shown.metric("lifeboat_pins") == 1)
    let unpinned = try await place.run("unpin", ["--all"])
    #expect(unpinned.exitCode == 0, "\(unpinned)")
    try await eventually(
      deadline: 180, "it is no longer",
      condition: {
        // A rewrite makes a restore point. The shipper then checks which pins were released.
        _ = try? server.command("BGREWRITEAOF")
        try server.command("INCR", "ticks")
        return try await shown.metric("lifeboat_suspect") == 0
      }, state: { shown.command.errorText })
    #expect(try await shown.metric("lifeboat_pins") == 0)
    _ = try await shown.command.terminate()
  }

  @Test func `a heartbeat beats while all is well, and its address is in no log`() async throws {
    let service = try LoopbackServer { _ in .reply(LoopbackReply(204)) }
    var place = try Place()
    try Volume.writeDump(in: place.data)
    place.environment["LIFEBOAT_HEARTBEAT_URL"] = service.url + "/ping/planted-uuid"
    let shown = try Shown(place)
    try await eventually(
      deadline: 60, "a beat", condition: { service.requests.contains { $0.method == "GET" } },
      state: { shown.command.errorText })
    #expect(service.requests.allSatisfy { $0.target == "/ping/planted-uuid" })
    #expect(await place.newest() != nil, "it beat before there was a backup")
    let end = try await shown.command.terminate()
    #expect(end.exitCode == 0 && !end.description.contains("planted"), "\(end)")
    service.stop()
    let alone = try Shown(place)
    try await eventually(
      deadline: 60, "it says that nobody is there",
      condition: { alone.command.errorText.contains("the heartbeat request failed") },
      state: { alone.command.errorText })
    let other = try await alone.command.terminate()
    #expect(other.exitCode == 0 && !other.description.contains("planted"), "\(other)")
  }

  @Test func `lag, state and restore points, from the first write to the last`() async throws {
    let place = try Place()
    let shown = try Shown(place)
    try await eventually(
      deadline: 60, "the pages are served",
      condition: { (try? await shown.page("/startupz").status) == 200 },
      state: { shown.command.errorText })
    #expect(try await shown.page("/livez").status == 200)
    #expect(try await shown.page("/nonsense").status == 404)
    #expect(try await shown.metric("lifeboat_recoverable_to_timestamp_seconds") == nil)
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes"])
    try server.command("SET", "key", "value")
    let before = Double(time(nil))
    try await eventually(
      deadline: 60, "it ships and nothing is left",
      condition: {
        let to = try await shown.metric("lifeboat_recoverable_to_timestamp_seconds")
        let left = try await shown.metric("lifeboat_unshipped_bytes")
        return await shown.isState("active") && left == 0 && to != nil
      }, state: { shown.command.errorText })
    #expect(try await shown.metric("lifeboat_log_lag_seconds") == 0)
    #expect(
      try await shown.metric("lifeboat_recoverable_to_timestamp_seconds")! > before - 60)
    #expect(
      try await shown.metric("lifeboat_store_requests_total{operation=\"create\",result=\"ok\"}")!
        >= 3)
    // When it returns, everything that was on disk when it was requested is durable.
    try server.command("SET", "synced", "value")
    try await eventually(deadline: 60, "Redis wrote it") {
      try server.info("aof_pending_bio_fsync") == "0"
        && (try server.info("aof_buffer_length")) == "0"
    }
    let synced = try await shown.run("sync", "--wait")
    #expect(synced.exitCode == 0 && synced.outputText.contains("backed up"), "\(synced)")
    let restored = try await place.restore(into: "restored")
    let again = try await RedisServer.start(
      .v7_4, directory: restored, options: ["appendonly": "yes"])
    #expect(try again.command("GET", "synced").bytes == Array("value".utf8))
    let status = try await shown.run("status")
    #expect(status.exitCode == 0 && status.outputText.contains("state         active"), "\(status)")
    let json = try await shown.run("status", "--json")
    #expect(json.outputText.contains("\"state\" : \"active\""), "\(json)")
    server.kill()
    #expect(try await shown.command.terminate().exitCode == 0)
  }

  @Test func `a store that is away: alive, lagging, told once, and caught up`() async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes"])
    try server.command("SET", "key", "value")
    let shown = try Shown(place)
    try await eventually(
      deadline: 60, "it ships", condition: { await place.newest() != nil },
      state: { shown.command.errorText })
    // The store becomes unavailable, like an unmounted volume.
    let away = place.folder("away")
    try #require(rename(place.repository, away) == 0)
    try server.command("SET", "while", "away")
    try await eventually(
      deadline: 60, "the lag grows",
      condition: {
        (try await shown.metric("lifeboat_log_lag_seconds") ?? 0) > 1
      }, state: { shown.command.errorText })
    #expect(try await shown.page("/livez").status == 200)
    let late = try await shown.run("sync", "--wait", "--timeout", "500ms")
    #expect(late.exit == .storeUnavailable, "\(late)")
    try #require(rename(away, place.repository) == 0)
    try await eventually(
      deadline: 120, "it caught up",
      condition: { try await shown.metric("lifeboat_log_lag_seconds") == 0 },
      state: { shown.command.errorText })
    #expect(try await shown.metric("lifeboat_unshipped_bytes") == 0)
    let log = shown.command.errorText
    #expect(
      log.split(separator: "\n").count { $0.contains("the store is unavailable") } == 1, "\(log)")
    #expect(
      log.split(separator: "\n").count { $0.contains("the store is available again") } == 1,
      "\(log)")
    server.kill()
    #expect(try await shown.command.terminate().exitCode == 0)
  }

  @Test func `a port in use is told and does not end the shipper`() async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes"])
    try server.command("SET", "key", "value")
    let first = try Shown(place)
    try await eventually(deadline: 60, "the first serves") {
      (try? await first.page("/livez").status) == 200
    }
    let second = try LifeboatCommand.start(
      [
        "ship", "--data", place.data, "--repo", place.folder("other"), "--log-format", "json",
        "--listen", "127.0.0.1:\(first.ports[0])", "--admin-listen", "off",
      ])
    try await eventually(
      deadline: 60, "it says so and ships all the same",
      condition: {
        second.errorText.contains("can't listen on 127.0.0.1:\(first.ports[0])")
          && second.errorText.contains("uploaded ")
      }, state: { second.errorText })
    for line in second.errorText.split(separator: "\n") {
      #expect(line.hasPrefix("{\"") && line.hasSuffix("}"), "\(line)")
    }
    let off = try await LifeboatCommand.run(["status", "--admin-listen", "off"])
    #expect(off.exit == .usage, "\(off)")
    let nobody = try await LifeboatCommand.run(
      ["status", "--admin-listen", "127.0.0.1:\(try freePorts(1)[0])"])
    #expect(nobody.exitCode == 1 && nobody.errorText.contains("no lifeboat ship answers"))
    server.kill()
    #expect(try await first.command.terminate().exitCode == 0)
    #expect(try await second.terminate().exitCode == 0)
  }
}
