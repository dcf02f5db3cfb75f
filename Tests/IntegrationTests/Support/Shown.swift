import HTTPTransport
import TestSupport
import Testing

/// A shipper that serves its pages on its own ports.
struct Shown {
  let command: RunningCommand
  let client: HTTPClient
  let ports: [UInt16]
  var admin: String { "127.0.0.1:\(ports[1])" }

  init(_ place: Place, _ arguments: [String] = [], data: String? = nil) throws {
    ports = try freePorts(2)
    command = try LifeboatCommand.start(
      [
        "ship", "--data", data ?? place.data, "--repo", place.repository, "--ship-interval",
        "100ms", "--listen", "127.0.0.1:\(ports[0])", "--admin-listen", "127.0.0.1:\(ports[1])",
      ] + arguments, environment: place.environment)
    client = try HTTPClient(
      connectionsMax: 1, limits: HTTPLimits(), trust: TrustStore(file: nil, origin: "a test"),
      userAgent: "test/1")
  }

  func page(_ path: String) async throws -> (status: Int, text: String) {
    let reply = try await client.send(
      HTTPRequest(.get, "http://127.0.0.1:\(ports[0])\(path)", route: .direct))
    return (reply.status, String(decoding: reply.body, as: UTF8.self))
  }

  /// The value of a metric; nil if it is absent.
  func metric(_ name: String) async throws -> Double? {
    try await page("/metrics").text.split(separator: "\n")
      .first { $0.hasPrefix(name + " ") }.flatMap { Double($0.dropFirst(name.count + 1)) }
  }

  func isState(_ state: String) async -> Bool {
    (try? await metric("lifeboat_state{state=\"\(state)\"}")) == 1
  }

  func run(_ arguments: String...) async throws -> CommandResult {
    try await LifeboatCommand.run(arguments + ["--admin-listen", admin])
  }

  /// Waits until `status` is healthy, and then for a `sync`.
  func becomesWell(_ what: String = "all is well", syncs: Bool = true) async throws {
    var last = ""
    try await eventually(
      deadline: 90, "all is well: \(what)",
      condition: {
        let status = try await run("status")
        last = status.outputText
        return status.exitCode == 0
      }, state: { last + command.errorText })
    guard syncs else { return }
    let sync = try await run("sync", "--wait", "--timeout", "90s")
    #expect(sync.exitCode == 0, "\(sync)\(command.errorText)")
  }
}
