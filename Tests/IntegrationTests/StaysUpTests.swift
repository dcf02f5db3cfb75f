import BackupTypes
import Glibc
import TestSupport
import Testing

/// A sidecar that exits makes its pod unready and takes Redis out of its Service. So whatever blocks it is
/// only a state: it reports it and waits, for minutes or days.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct StaysUpTests {
  /// Something that blocks a shipper, already set up.
  private struct Cause: Sendable {
    var name: String
    var place: Place
    /// Words in its log.
    var words: String
    var arguments: [String] = []
    /// A server that has to live as long.
    var server: FaultS3Server?
  }

  /// After this time a state is not a hiccup: every kind of work has been retried several times.
  private static let minute = Duration.seconds(75)

  @Test func `more than a minute later it is up, whatever is in its way, and nothing was touched`()
    async throws
  {
    let causes = try refusals() + (try await repositories())
    let failures = await withTaskGroup(of: String?.self) { group in
      for cause in causes { group.addTask { await outlast(cause) } }
      return await group.reduce(into: [String]()) { if let failure = $1 { $0.append(failure) } }
    }
    #expect(failures.isEmpty, "\(failures.joined(separator: "\n---\n"))")
    #expect(causes.count > 20)
  }

  /// Returns what was wrong; nil if nothing was.
  private func outlast(_ cause: Cause) async -> String? {
    do {
      let before = try contents(cause.place.data)
      let shown = try Shown(cause.place, cause.arguments)
      try await eventually(
        deadline: 120, "it says what is in its way",
        condition: {
          guard shown.command.end == nil else { throw HarnessError("it ended") }
          let isServed = (try? await shown.page("/startupz").status) == 200
          return isServed && shown.command.errorText.contains(cause.words)
        }, state: { shown.command.errorText })
      let end = ContinuousClock.now.advanced(by: Self.minute)
      try await eventually(
        deadline: 240, "it has outlasted the minute",
        condition: {
          guard shown.command.end == nil else { throw HarnessError("it ended") }
          guard try await shown.page("/livez").status == 200 else {
            throw HarnessError("/livez says that it does not live")
          }
          try await Task.sleep(for: .milliseconds(500))  // looked at as often as a kubelet does
          return ContinuousClock.now >= end
        }, state: { shown.command.errorText })
      guard try contents(cause.place.data) == before else {
        throw HarnessError("a file of Redis changed")
      }
      let result = try await shown.command.terminate()
      // The exit code says whether everything is durable. That of a signal would be a crash.
      guard [.success, .failure].contains(result.exit) else { throw HarnessError("\(result)") }
      return nil
    } catch {
      return "\(cause.name): \(error)"
    }
  }

  private func contents(_ directory: String) throws -> [String: [UInt8]] {
    var found: [String: [UInt8]] = [:]
    for name in TestFiles.tree(directory) {
      found[name] = try TestFiles.read(directory + "/" + name)
    }
    return found
  }

  // MARK: Causes

  /// Everything that makes a store unusable.
  private func refusals() throws -> [Cause] {
    try RefusalTests.Case.all.map { test in
      let server = try FaultS3Server(test.setup)
      let place = try Place.on(server, options: test.options, environment: test.environment)
      try Volume.writeDump(in: place.data)
      return Cause(name: test.name, place: place, words: test.words[0], server: server)
    }
  }

  /// Everything that keeps a shipper from writing to a repository.
  private func repositories() async throws -> [Cause] {
    func place(_ change: (inout Place) async throws -> Void) async throws -> Place {
      var place = try Place()
      try Volume.writeDump(in: place.data)
      try await change(&place)
      return place
    }
    func overwrite(_ name: String, _ place: Place, _ change: (inout [UInt8]) -> Void) throws {
      var bytes = try TestFiles.read(place.repository + "/" + name)
      change(&bytes)
      TestFiles.remove(place.repository + "/" + name)
      try TestFiles.write(bytes, to: place.repository + "/" + name)
    }
    /// Writes bytes that the repository lacks, so a shipper has something to do.
    func write(_ place: Place) throws {
      try TestFiles.write(
        Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n".utf8), to: place.data + "/appendonly.aof")
    }
    return [
      Cause(
        name: "another source's repository",
        place: try await place {
          try await $0.shipOnce("--source", "other")
          try write($0)
        }, words: "standby: this shipper uploads nothing", arguments: ["--source", "mine"]),
      Cause(
        name: "an encrypted repository, and no key",
        place: try await place {
          $0.environment["LIFEBOAT_ENCRYPTION_KEY"] = Place.newKey()
          try await $0.shipOnce()
          $0.environment = [:]
          try write($0)
        }, words: "no key was given"),
      Cause(
        name: "another key",
        place: try await place {
          $0.environment["LIFEBOAT_ENCRYPTION_KEY"] = Place.newKey()
          try await $0.shipOnce()
          $0.environment["LIFEBOAT_ENCRYPTION_KEY"] = Place.newKey()
          try write($0)
        }, words: "does not open the repository"),
      Cause(
        name: "a key file that is not there",
        place: try await place { _ in },
        words: "can't read the key file",
        arguments: ["--encryption-key-file", "/nonexistent/key"]),
      Cause(
        name: "a damaged descriptor",
        place: try await place {
          try await $0.shipOnce()
          try overwrite("lifeboat.json", $0) { $0 = Array("{".utf8) }
          try write($0)
        }, words: "shipping is blocked"),
      Cause(
        name: "a repository of a later release",
        place: try await place {
          try await $0.shipOnce()
          try overwrite("timelines/00000001/claim", $0) { $0[8] = 99 }
          try write($0)
        }, words: "use a newer release"),
      Cause(
        name: "objects of somebody else",
        place: try await place {
          try TestFiles.write([1], to: $0.repository + "/holiday.jpg")
        }, words: "no lifeboat.json"),
      Cause(
        name: "a file in the place of the repository",
        place: try await place {
          TestFiles.remove($0.repository)
          try TestFiles.write([1], to: $0.repository)
        }, words: "the store is unavailable"),
      Cause(
        name: "a directory in the place of the dump",
        place: try await place {
          TestFiles.remove($0.data + "/dump.rdb")
          try TestFiles.makeDirectory($0.data + "/dump.rdb")
          try write($0)
        }, words: "shipping is blocked"),
      Cause(
        name: "a dump that is damaged",
        place: try await place {
          try TestFiles.write(Array("REDIS0011 and then nothing".utf8), to: $0.data + "/dump.rdb")
        }, words: "is damaged and was not backed up"),
    ]
  }
}
