import BackupTypes
import SystemIO
import TestSupport

/// Places with a repository in Google Cloud Storage, and the settings that a user needs to reach it.
extension Place {
  /// A new repository in the fake-gcs-server that all tests share.
  static func onFakeGCS() async throws -> Place {
    let server = try await FakeGCSProgram.shared()
    return try Place(
      repository: "gs://\(FakeGCSProgram.bucket)/place-" + hexadecimal(secureRandomBytes(8)),
      environment: GoogleKeys.none.merging(["STORAGE_EMULATOR_HOST": server.url]) { $1 })
  }

  /// The repository `bucket/prefix` on the tests' own server.
  static func on(_ server: FakeGCSServer, environment: [String: String]) throws -> Place {
    try Place(
      repository: "gs://bucket/prefix?endpoint=\(server.url)", environment: environment)
  }
}

/// The environment of a user. Nothing comes from this machine's environment.
enum GoogleKeys {
  /// No home directory with a developer's files, and no service of the machine's vendor.
  static let none = ["HOME": "/nonexistent", "NO_GCE_CHECK": "true"]

  static func metadata(_ google: GoogleServer) -> [String: String] {
    ["HOME": "/nonexistent", "GCE_METADATA_HOST": String(google.url.dropFirst("http://".count))]
  }
}

/// One of the ways in which Application Default Credentials give a user tokens, on a server that simulates
/// Google's.
final class GoogleDesk: Sendable {
  enum Kind: CaseIterable, Sendable {
    case serviceAccount, user, federation, impersonation, metadata
  }

  let google: GoogleServer
  let folder: TemporaryDirectory
  let environment: [String: String]

  /// - Parameter lifetimeSeconds: the lifetime of each token.
  init(_ kind: Kind, for gcs: FakeGCSServer, lifetimeSeconds: Int = 3599) throws {
    folder = try TemporaryDirectory("desk")
    google = try GoogleServer.rotating(for: gcs)
    google.change { $0.lifetimeSeconds = lifetimeSeconds }
    let file: String
    switch kind {
    case .serviceAccount: file = google.serviceAccountFile()
    case .user: file = google.authorizedUserFile()
    case .federation:
      file = google.externalAccountFile(tokenFile: folder("subject"), isJSON: true)
      try TestFiles.write("{\"id_token\":\"planted-subject\"}", to: folder("subject"))
    case .impersonation:
      file = google.externalAccountFile(tokenFile: folder("subject"), impersonates: true)
      try TestFiles.write("planted-subject\n", to: folder("subject"))
    case .metadata:
      environment = GoogleKeys.metadata(google)
      return
    }
    try TestFiles.write(file, to: folder("credentials.json"))
    environment = GoogleKeys.none.merging([
      "GOOGLE_APPLICATION_CREDENTIALS": folder("credentials.json")
    ]) { $1 }
  }
}
