import BackupTypes
import HTTPTransport
import TestSupport
import Testing

/// The page that a running sidecar serves, in a real browser.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun)) struct LivePageTests {
  private func visit(_ shown: Shown, milliseconds: Int = 7000) async throws
    -> HeadlessBrowser.Visit
  {
    let visit = try await HeadlessBrowser.visit(
      "http://\(shown.admin)/", milliseconds: milliseconds)
    #expect(visit.console.isEmpty, "\(visit.console)")
    return visit
  }

  private func isRead(_ shown: Shown) async throws -> Bool {
    let reply = try await shown.client.send(
      HTTPRequest(.get, "http://\(shown.admin)/live", route: .direct))
    return String(decoding: reply.body, as: UTF8.self).contains("\"readAt\":")
  }

  @Test func `a page of another site can't ask for a sync`() async throws {
    let place = try Place()
    try Volume.writeDump(in: place.data)
    let shown = try Shown(place)
    try await eventually(
      deadline: 60, "it answers",
      condition: {
        let isActive = await shown.isState("active")
        return await place.newest() != nil && isActive
      },
      state: { shown.command.errorText })
    for (origin, status) in [
      (nil, 202), ("http://\(shown.admin)", 202), ("http://evil.example", 403), ("null", 403),
      ("http://127.0.0.1", 403),
    ] {
      let headers = HTTPHeaders(origin.map { [("Origin", $0)] } ?? [])
      let reply = try await shown.client.send(
        HTTPRequest(.post, "http://\(shown.admin)/sync", headers: headers, route: .direct))
      #expect(reply.status == status, "\(origin ?? "no Origin")")
    }
    _ = try await shown.command.terminate()
  }

  @Test func `a page that was opened before there is a backup says so by itself`() async throws {
    let place = try Place()
    let shown = try Shown(place)
    try await eventually(
      deadline: 60, "it answers", condition: { await shown.isState("following") },
      state: { shown.command.errorText })
    // This is the first visit, so the page is made while the repository is being read.
    let visit = try await visit(shown, milliseconds: 60_000)
    #expect(visit.text("waiting")?.contains("There is no backup at") == true, "\(visit)")
    #expect(visit.isHidden("problem") && visit.isHidden("away"), "\(visit)")
    _ = try await shown.command.terminate()
  }

  @Test func `windows and figures while it ships, and what was read while the store is away`()
    async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes"])
    try server.command("SET", "key", "value")
    let shown = try Shown(place)
    try await eventually(
      deadline: 60, "it ships",
      condition: {
        let isActive = await shown.isState("active")
        return await place.newest() != nil && isActive
      }, state: { shown.command.errorText })
    // Nobody has opened the page yet, so nothing was read for it. A status request does not read anything for
    // it either.
    #expect(try await shown.run("status").exitCode == 0)
    #expect(try await !isRead(shown))
    let first = try await visit(shown)
    #expect(first.text("state") == "active", "\(first)")
    try await eventually(
      deadline: 60, "the repository was read", condition: { try await isRead(shown) },
      state: { shown.command.errorText })
    let second = try await visit(shown)
    #expect(second.document.contains("<rect class=\"window\" x"), "\(second)")
    #expect(second.isHidden("away") && second.isHidden("silent"), "\(second)")
    #expect(
      second.text("command") == "lifeboat restore --repo '\(place.repository)' --data DIR",
      "\(second)")

    try TestFiles.rename(place.repository, to: place.folder("away"))
    try await eventually(
      deadline: 60, "the store is away",
      condition: {
        try server.command("INCR", "ticks")
        return try await shown.run("status", "--json").jsonText("storeAwaySince") != nil
      }, state: { shown.command.errorText })
    let away = try await visit(shown)
    #expect(!away.isHidden("away") && away.text("away-since")?.hasPrefix("20") == true, "\(away)")
    #expect(away.text("unshipped") != "0 B", "\(away)")
    #expect(away.document.contains("<rect class=\"window\" x"), "\(away)")
    try TestFiles.rename(place.folder("away"), to: place.repository)
    try await eventually(
      deadline: 60, "it is back",
      condition: { try await shown.run("status", "--json").jsonText("storeAwaySince") == nil },
      state: { shown.command.errorText })
    #expect(try await visit(shown).isHidden("away"))
    server.kill()
    #expect(try await shown.command.terminate().exitCode == 0)
  }
}
