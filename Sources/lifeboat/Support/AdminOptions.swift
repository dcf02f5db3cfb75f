import ArgumentParser
import BackupTypes
import FoundationEssentials
import HTTPTransport
import StatusPages

/// Where the sidecar serves its page and answers `status` and `sync`.
struct AdminOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The address of the sidecar's page, which status and sync also use.",
      discussion: "Use the same address for ship, status and sync. off disables it.",
      valueName: "address"))
  var adminListen = "127.0.0.1:9848"

  /// nil: off.
  func address() throws -> ListenAddress? {
    adminListen == "off" ? nil : try ListenAddress(adminListen)
  }
}

/// Asks a running sidecar.
struct AdminClient {
  private let address: ListenAddress
  private let client: HTTPClient

  init(_ options: AdminOptions) throws {
    guard let address = try options.address() else {
      throw LifeboatError(
        .usage, "--admin-listen is off", hint: "pass the address that lifeboat ship listens on")
    }
    self.address = address
    client = try HTTPClient(
      connectionsMax: 1,
      limits: HTTPLimits(connect: .seconds(5), firstByte: .seconds(10)),
      trust: TrustStore(file: nil, origin: "none"), userAgent: "lifeboat/\(Lifeboat.version)")
  }

  func get<Value: Decodable>(_ type: Value.Type, _ path: String) async throws -> Value {
    try await ask(type, .get, path)
  }
  func post<Value: Decodable>(_ type: Value.Type, _ path: String) async throws -> Value {
    try await ask(type, .post, path)
  }

  private func ask<Value: Decodable>(
    _ type: Value.Type, _ method: HTTPRequest.Method, _ path: String
  ) async throws -> Value {
    let reply: HTTPResponse
    do {
      reply = try await client.send(
        HTTPRequest(method, "http://\(reachable)\(path)", route: .direct))
    } catch let error as LifeboatError {
      throw LifeboatError(
        .failure, "no lifeboat ship answers at \(address)", cause: error.message,
        hint: "is it running on this machine? Pass the address of its --admin-listen")
    }
    guard (200..<300).contains(reply.status),
      let value = try? JSONDecoder().decode(type, from: Data(reply.body))
    else {
      throw LifeboatError(
        .failure, "the server at \(address) is not a lifeboat ship of this version",
        cause: "status \(reply.status)", hint: "pass the address of lifeboat ship's --admin-listen")
    }
    return value
  }

  /// If the sidecar listens on every address of this machine, it is reached by the loopback address.
  private var reachable: String {
    address.host == nil ? "127.0.0.1:\(address.port)" : address.description
  }
}
