import TestSupport
import Testing

/// A shipper that stops without having shipped everything on disk says so, whatever the cause.
@Suite struct UnshippedEndTests {
  private func place() async throws -> Place {
    let place = try Place()
    try Volume.writeDump(in: place.data)
    try await place.shipOnce("--source", "other")
    return place
  }

  /// Writes bytes that the repository lacks.
  private func write(_ place: Place) throws {
    try TestFiles.write(
      Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n".utf8), to: place.data + "/appendonly.aof")
  }

  private func end(_ place: Place, said words: String) async throws -> CommandResult {
    let ship = try place.ship("--source", "mine", "--json")
    try await eventually(
      deadline: 60, "it says \(words)", condition: { ship.errorText.contains(words) },
      state: { ship.errorText })
    return try await ship.terminate()
  }

  @Test func `a standby with news on disk`() async throws {
    let place = try await place()
    try write(place)
    let end = try await end(place, said: "standby: this shipper uploads nothing")
    #expect(end.exitCode == 1, "\(end)")
    #expect(
      end.errorText.has("stopped in standby: nothing was shipped"), "\(end)")
    #expect(
      end.errorText.has("age") && end.errorText.has("the repository belongs to other"), "\(end)")
    #expect(end.jsonText("state") == "standby", "\(end)")
    #expect(end.jsonText("unshippedSince") != nil, "\(end)")
    #expect(end.outputText.filter { !$0.isWhitespace }.has("\"isComplete\":false"), "\(end)")
  }

  @Test func `one that is blocked`() async throws {
    let place = try await place()
    try write(place)
    try TestFiles.write("{}", to: place.repository + "/lifeboat.json")
    let end = try await end(place, said: "shipping is blocked")
    #expect(end.exitCode == 1, "\(end)")
    #expect(end.errorText.has("stopped while blocked: nothing was shipped"), "\(end)")
    #expect(end.errorText.has("reason") && end.errorText.has("age"), "\(end)")
    #expect(end.jsonText("state") == "blocked", "\(end)")
    #expect(end.outputText.filter { !$0.isWhitespace }.has("\"isComplete\":false"), "\(end)")
  }

  @Test func `another source's directory of which the repository holds all is complete`()
    async throws
  {
    let place = try await place()
    let end = try await end(place, said: "everything on disk is backed up")
    #expect(end.exitCode == 0, "\(end)")
    #expect(end.outputText.filter { !$0.isWhitespace }.has("\"isComplete\":true"), "\(end)")
  }
}
